from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.item_details import ItemDetails
    from ..models.posted import Posted


T = TypeVar("T", bound="Item")


@_attrs_define
class Item:
    """
    Attributes:
        code (None | str): Why it was refused; null if it was booked (or could have been).
        details (ItemDetails): What machines read besides the code.
        posted (None | Posted): What was booked; null: nothing.
    """

    code: None | str
    details: ItemDetails
    posted: None | Posted
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.posted import Posted

        code: None | str
        code = self.code

        details = self.details.to_dict()

        posted: dict[str, Any] | None
        if isinstance(self.posted, Posted):
            posted = self.posted.to_dict()
        else:
            posted = self.posted

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "code": code,
                "details": details,
                "posted": posted,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.item_details import ItemDetails
        from ..models.posted import Posted

        d = dict(src_dict)

        def _parse_code(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        code = _parse_code(d.pop("code"))

        details = ItemDetails.from_dict(d.pop("details"))

        def _parse_posted(data: object) -> None | Posted:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                posted_type_0 = Posted.from_dict(data)

                return posted_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Posted, data)

        posted = _parse_posted(d.pop("posted"))

        item = cls(
            code=code,
            details=details,
            posted=posted,
        )

        item.additional_properties = d
        return item

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
