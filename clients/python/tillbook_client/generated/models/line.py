from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="Line")


@_attrs_define
class Line:
    """
    Attributes:
        version (int): The wallet's version: 1, 2, … without gaps.
        transfer (UUID): The transfer.
        amount (int): Signed: what the wallet gained.
        balance (int): What the wallet had then.
        kind (str): What kind of transfer: `purchase`, `spend`, …
        reference (str): What the caller gave.
        note (str): For people.
        other (str): Code of the account on the other side.
        at (datetime.datetime): When.
        actor (None | str): Who asked for it; empty for the service itself, null for a user's token.
    """

    version: int
    transfer: UUID
    amount: int
    balance: int
    kind: str
    reference: str
    note: str
    other: str
    at: datetime.datetime
    actor: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        version = self.version

        transfer = str(self.transfer)

        amount = self.amount

        balance = self.balance

        kind = self.kind

        reference = self.reference

        note = self.note

        other = self.other

        at = self.at.isoformat()

        actor: None | str
        actor = self.actor

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "version": version,
                "transfer": transfer,
                "amount": amount,
                "balance": balance,
                "kind": kind,
                "reference": reference,
                "note": note,
                "other": other,
                "at": at,
                "actor": actor,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        version = d.pop("version")

        transfer = UUID(d.pop("transfer"))

        amount = d.pop("amount")

        balance = d.pop("balance")

        kind = d.pop("kind")

        reference = d.pop("reference")

        note = d.pop("note")

        other = d.pop("other")

        at = datetime.datetime.fromisoformat(d.pop("at"))

        def _parse_actor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        actor = _parse_actor(d.pop("actor"))

        line = cls(
            version=version,
            transfer=transfer,
            amount=amount,
            balance=balance,
            kind=kind,
            reference=reference,
            note=note,
            other=other,
            at=at,
            actor=actor,
        )

        line.additional_properties = d
        return line

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
