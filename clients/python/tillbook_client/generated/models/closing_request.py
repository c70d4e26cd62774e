from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="ClosingRequest")


@_attrs_define
class ClosingRequest:
    """
    Attributes:
        month (str): A month of the zone of the rules.
        despite (str | Unset): Why it is closed though something is open.
    """

    month: str
    despite: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        month = self.month

        despite = self.despite

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "month": month,
            }
        )
        if despite is not UNSET:
            field_dict["despite"] = despite

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        month = d.pop("month")

        despite = d.pop("despite", UNSET)

        closing_request = cls(
            month=month,
            despite=despite,
        )

        return closing_request
