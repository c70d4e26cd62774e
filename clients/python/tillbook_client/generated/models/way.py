from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.way_extra import WayExtra


T = TypeVar("T", bound="Way")


@_attrs_define
class Way:
    """
    Attributes:
        way (str): The way of paying.
        extra (WayExtra): JSON Schema of `extra`.
    """

    way: str
    extra: WayExtra
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        way = self.way

        extra = self.extra.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "way": way,
                "extra": extra,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.way_extra import WayExtra

        d = dict(src_dict)
        way = d.pop("way")

        extra = WayExtra.from_dict(d.pop("extra"))

        way = cls(
            way=way,
            extra=extra,
        )

        way.additional_properties = d
        return way

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
