from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="Coins")


@_attrs_define
class Coins:
    """
    Attributes:
        asset (str): What is counted: `coin`, or another virtual currency of the app.
        taken (int): Coins taken out of the wallet; negative: given back.
        debt (int): Coins that the user owes since: later credits repay first.
        forgiven (int): Coins that could not be taken and are not owed.
    """

    asset: str
    taken: int
    debt: int
    forgiven: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        asset = self.asset

        taken = self.taken

        debt = self.debt

        forgiven = self.forgiven

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "asset": asset,
                "taken": taken,
                "debt": debt,
                "forgiven": forgiven,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        asset = d.pop("asset")

        taken = d.pop("taken")

        debt = d.pop("debt")

        forgiven = d.pop("forgiven")

        coins = cls(
            asset=asset,
            taken=taken,
            debt=debt,
            forgiven=forgiven,
        )

        coins.additional_properties = d
        return coins

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
