from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="MatchRequest")


@_attrs_define
class MatchRequest:
    """
    Attributes:
        other (str): A number of ours, in decimal.
        reason (str): Why, for people.
    """

    other: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        other = self.other

        reason = self.reason

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "other": other,
                "reason": reason,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        other = d.pop("other")

        reason = d.pop("reason")

        match_request = cls(
            other=other,
            reason=reason,
        )

        return match_request
