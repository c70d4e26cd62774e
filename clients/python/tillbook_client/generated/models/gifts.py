from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.gift import Gift


T = TypeVar("T", bound="Gifts")


@_attrs_define
class Gifts:
    """
    Attributes:
        gifts (list[Gift]): Newest first.
        next_ (None | str): The `cursor` of the next page; null at the end.
    """

    gifts: list[Gift]
    next_: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        gifts = []
        for gifts_item_data in self.gifts:
            gifts_item = gifts_item_data.to_dict()
            gifts.append(gifts_item)

        next_: None | str
        next_ = self.next_

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "gifts": gifts,
                "next": next_,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.gift import Gift

        d = dict(src_dict)
        gifts = []
        _gifts = d.pop("gifts")
        for gifts_item_data in _gifts:
            gifts_item = Gift.from_dict(gifts_item_data)

            gifts.append(gifts_item)

        def _parse_next_(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        next_ = _parse_next_(d.pop("next"))

        gifts = cls(
            gifts=gifts,
            next_=next_,
        )

        gifts.additional_properties = d
        return gifts

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
