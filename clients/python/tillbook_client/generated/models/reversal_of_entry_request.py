from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="ReversalOfEntryRequest")


@_attrs_define
class ReversalOfEntryRequest:
    """
    Attributes:
        document (str): The reference of the paper or file behind it.
        reason (str): Why, for people.
    """

    document: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        document = self.document

        reason = self.reason

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "document": document,
                "reason": reason,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        document = d.pop("document")

        reason = d.pop("reason")

        reversal_of_entry_request = cls(
            document=document,
            reason=reason,
        )

        return reversal_of_entry_request
