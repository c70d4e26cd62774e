from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.closing import Closing


T = TypeVar("T", bound="Closings")


@_attrs_define
class Closings:
    """
    Attributes:
        closings (list[Closing]): In the order of time.
    """

    closings: list[Closing]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        closings = []
        for closings_item_data in self.closings:
            closings_item = closings_item_data.to_dict()
            closings.append(closings_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "closings": closings,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.closing import Closing

        d = dict(src_dict)
        closings = []
        _closings = d.pop("closings")
        for closings_item_data in _closings:
            closings_item = Closing.from_dict(closings_item_data)

            closings.append(closings_item)

        closings = cls(
            closings=closings,
        )

        closings.additional_properties = d
        return closings

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
