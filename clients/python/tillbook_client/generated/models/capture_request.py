from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="CaptureRequest")


@_attrs_define
class CaptureRequest:
    """
    Attributes:
        amount (int | None | Unset): All that is left, if not given.
        final (bool | Unset): Give the rest back at once. Not given: `false`.
        reference (str | Unset): What the caller wants to find the posting by.
        note (str | Unset): For people.
    """

    amount: int | None | Unset = UNSET
    final: bool | Unset = UNSET
    reference: str | Unset = UNSET
    note: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        amount: int | None | Unset
        if isinstance(self.amount, Unset):
            amount = UNSET
        else:
            amount = self.amount

        final = self.final

        reference = self.reference

        note = self.note

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if amount is not UNSET:
            field_dict["amount"] = amount
        if final is not UNSET:
            field_dict["final"] = final
        if reference is not UNSET:
            field_dict["reference"] = reference
        if note is not UNSET:
            field_dict["note"] = note

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)

        def _parse_amount(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        amount = _parse_amount(d.pop("amount", UNSET))

        final = d.pop("final", UNSET)

        reference = d.pop("reference", UNSET)

        note = d.pop("note", UNSET)

        capture_request = cls(
            amount=amount,
            final=final,
            reference=reference,
            note=note,
        )

        return capture_request
