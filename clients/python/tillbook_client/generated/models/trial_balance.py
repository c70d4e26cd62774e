from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.trial_sheet import TrialSheet


T = TypeVar("T", bound="TrialBalance")


@_attrs_define
class TrialBalance:
    """
    Attributes:
        at (datetime.datetime): What was booked up to and including that moment counts.
        balanced (bool): All sheets sum to zero, those left out as well.
        sheets (list[TrialSheet]): By asset and environment.
        left_out (int): Sheets that are not shown, for the answer would be too long: ask by `asset`.
    """

    at: datetime.datetime
    balanced: bool
    sheets: list[TrialSheet]
    left_out: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        at = self.at.isoformat()

        balanced = self.balanced

        sheets = []
        for sheets_item_data in self.sheets:
            sheets_item = sheets_item_data.to_dict()
            sheets.append(sheets_item)

        left_out = self.left_out

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "at": at,
                "balanced": balanced,
                "sheets": sheets,
                "left_out": left_out,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.trial_sheet import TrialSheet

        d = dict(src_dict)
        at = datetime.datetime.fromisoformat(d.pop("at"))

        balanced = d.pop("balanced")

        sheets = []
        _sheets = d.pop("sheets")
        for sheets_item_data in _sheets:
            sheets_item = TrialSheet.from_dict(sheets_item_data)

            sheets.append(sheets_item)

        left_out = d.pop("left_out")

        trial_balance = cls(
            at=at,
            balanced=balanced,
            sheets=sheets,
            left_out=left_out,
        )

        trial_balance.additional_properties = d
        return trial_balance

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
