from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.environment import Environment
from ..models.hold_record_state import HoldRecordState

T = TypeVar("T", bound="HoldRecord")


@_attrs_define
class HoldRecord:
    """
    Attributes:
        id (UUID): The hold.
        user (str): The user, by the name that the app has for them.
        asset (str): What is counted: `coin`, or another virtual currency of the app.
        environment (Environment): `live`, or `sandbox` for what a provider's sandbox paid.
        amount (int): What it reserved at first.
        captured (int): What of it was spent.
        released (int): What of it was given back.
        rest (int): What is still reserved.
        state (HoldRecordState): How the hold stands.
        reference (str): What the caller gave.
        note (str): For people.
        actor (None | str): Who made it; null for a user's token.
        created_at (datetime.datetime): When.
        expires_at (datetime.datetime): When it gives back what is left, by itself.
    """

    id: UUID
    user: str
    asset: str
    environment: Environment
    amount: int
    captured: int
    released: int
    rest: int
    state: HoldRecordState
    reference: str
    note: str
    actor: None | str
    created_at: datetime.datetime
    expires_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        user = self.user

        asset = self.asset

        environment = self.environment.value

        amount = self.amount

        captured = self.captured

        released = self.released

        rest = self.rest

        state = self.state.value

        reference = self.reference

        note = self.note

        actor: None | str
        actor = self.actor

        created_at = self.created_at.isoformat()

        expires_at = self.expires_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "user": user,
                "asset": asset,
                "environment": environment,
                "amount": amount,
                "captured": captured,
                "released": released,
                "rest": rest,
                "state": state,
                "reference": reference,
                "note": note,
                "actor": actor,
                "created_at": created_at,
                "expires_at": expires_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        user = d.pop("user")

        asset = d.pop("asset")

        environment = Environment(d.pop("environment"))

        amount = d.pop("amount")

        captured = d.pop("captured")

        released = d.pop("released")

        rest = d.pop("rest")

        state = HoldRecordState(d.pop("state"))

        reference = d.pop("reference")

        note = d.pop("note")

        def _parse_actor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        actor = _parse_actor(d.pop("actor"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at"))

        hold_record = cls(
            id=id,
            user=user,
            asset=asset,
            environment=environment,
            amount=amount,
            captured=captured,
            released=released,
            rest=rest,
            state=state,
            reference=reference,
            note=note,
            actor=actor,
            created_at=created_at,
            expires_at=expires_at,
        )

        hold_record.additional_properties = d
        return hold_record

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
