from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.environment import Environment

if TYPE_CHECKING:
    from ..models.trial_line import TrialLine


T = TypeVar("T", bound="TrialSheet")


@_attrs_define
class TrialSheet:
    """
    Attributes:
        asset (str): What is counted: `coin`, or another virtual currency of the app.
        environment (Environment): `live`, or `sandbox` for what a provider's sandbox paid.
        balanced (bool): Debits and credits are alike.
        debits (str): A whole number of any size, as decimal text.
        credits_ (str): A whole number of any size, as decimal text.
        balance (str): A whole number of any size, as decimal text.
        lines (list[TrialLine]): One for each account.
    """

    asset: str
    environment: Environment
    balanced: bool
    debits: str
    credits_: str
    balance: str
    lines: list[TrialLine]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        asset = self.asset

        environment = self.environment.value

        balanced = self.balanced

        debits = self.debits

        credits_ = self.credits_

        balance = self.balance

        lines = []
        for lines_item_data in self.lines:
            lines_item = lines_item_data.to_dict()
            lines.append(lines_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "asset": asset,
                "environment": environment,
                "balanced": balanced,
                "debits": debits,
                "credits": credits_,
                "balance": balance,
                "lines": lines,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.trial_line import TrialLine

        d = dict(src_dict)
        asset = d.pop("asset")

        environment = Environment(d.pop("environment"))

        balanced = d.pop("balanced")

        debits = d.pop("debits")

        credits_ = d.pop("credits")

        balance = d.pop("balance")

        lines = []
        _lines = d.pop("lines")
        for lines_item_data in _lines:
            lines_item = TrialLine.from_dict(lines_item_data)

            lines.append(lines_item)

        trial_sheet = cls(
            asset=asset,
            environment=environment,
            balanced=balanced,
            debits=debits,
            credits_=credits_,
            balance=balance,
            lines=lines,
        )

        trial_sheet.additional_properties = d
        return trial_sheet

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
