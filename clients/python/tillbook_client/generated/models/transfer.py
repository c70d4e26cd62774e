from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.environment import Environment

T = TypeVar("T", bound="Transfer")


@_attrs_define
class Transfer:
    """
    Attributes:
        id (UUID): The transfer.
        kind (str): What kind of transfer: `purchase`, `spend`, …
        user (None | str): Whose account it changed; null where it moved the house's own money.
        asset (str): What is counted: `coin`, or another virtual currency of the app.
        environment (Environment): `live`, or `sandbox` for what a provider's sandbox paid.
        amount (int): How much moved.
        debit (str): Code of the account that it came from.
        credit (str): Code of the account that it went to.
        version (int): The version of the user's account after it: its line in the statement.
        balance (int): The balance of the user's account after it.
        reference (str): What the caller gave.
        note (str): For people.
        actor (None | str): Who asked for it; empty for the service itself, null for a user's token.
        cause (None | UUID): The hold that it captured, or the transfer that it goes back to.
        at (datetime.datetime): When.
    """

    id: UUID
    kind: str
    user: None | str
    asset: str
    environment: Environment
    amount: int
    debit: str
    credit: str
    version: int
    balance: int
    reference: str
    note: str
    actor: None | str
    cause: None | UUID
    at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        kind = self.kind

        user: None | str
        user = self.user

        asset = self.asset

        environment = self.environment.value

        amount = self.amount

        debit = self.debit

        credit = self.credit

        version = self.version

        balance = self.balance

        reference = self.reference

        note = self.note

        actor: None | str
        actor = self.actor

        cause: None | str
        if isinstance(self.cause, UUID):
            cause = str(self.cause)
        else:
            cause = self.cause

        at = self.at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "kind": kind,
                "user": user,
                "asset": asset,
                "environment": environment,
                "amount": amount,
                "debit": debit,
                "credit": credit,
                "version": version,
                "balance": balance,
                "reference": reference,
                "note": note,
                "actor": actor,
                "cause": cause,
                "at": at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        kind = d.pop("kind")

        def _parse_user(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        user = _parse_user(d.pop("user"))

        asset = d.pop("asset")

        environment = Environment(d.pop("environment"))

        amount = d.pop("amount")

        debit = d.pop("debit")

        credit = d.pop("credit")

        version = d.pop("version")

        balance = d.pop("balance")

        reference = d.pop("reference")

        note = d.pop("note")

        def _parse_actor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        actor = _parse_actor(d.pop("actor"))

        def _parse_cause(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                cause_type_0 = UUID(data)

                return cause_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        cause = _parse_cause(d.pop("cause"))

        at = datetime.datetime.fromisoformat(d.pop("at"))

        transfer = cls(
            id=id,
            kind=kind,
            user=user,
            asset=asset,
            environment=environment,
            amount=amount,
            debit=debit,
            credit=credit,
            version=version,
            balance=balance,
            reference=reference,
            note=note,
            actor=actor,
            cause=cause,
            at=at,
        )

        transfer.additional_properties = d
        return transfer

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
