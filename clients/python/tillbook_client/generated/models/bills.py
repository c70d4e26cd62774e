from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.bill import Bill


T = TypeVar("T", bound="Bills")


@_attrs_define
class Bills:
    """
    Attributes:
        bills (list[Bill]): By the time that they cover.
        next_ (None | str): The `cursor` of the next page; null at the end.
    """

    bills: list[Bill]
    next_: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        bills = []
        for bills_item_data in self.bills:
            bills_item = bills_item_data.to_dict()
            bills.append(bills_item)

        next_: None | str
        next_ = self.next_

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "bills": bills,
                "next": next_,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.bill import Bill

        d = dict(src_dict)
        bills = []
        _bills = d.pop("bills")
        for bills_item_data in _bills:
            bills_item = Bill.from_dict(bills_item_data)

            bills.append(bills_item)

        def _parse_next_(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        next_ = _parse_next_(d.pop("next"))

        bills = cls(
            bills=bills,
            next_=next_,
        )

        bills.additional_properties = d
        return bills

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
