from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.environment import Environment
from ..models.hold_state import HoldState

T = TypeVar("T", bound="Hold")


@_attrs_define
class Hold:
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
        state (HoldState): How the hold stands.
        expires_at (datetime.datetime): When it gives back what is left, by itself.
        repeated (bool): This key had been used for it before.
    """

    id: UUID
    user: str
    asset: str
    environment: Environment
    amount: int
    captured: int
    released: int
    rest: int
    state: HoldState
    expires_at: datetime.datetime
    repeated: bool
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

        expires_at = self.expires_at.isoformat()

        repeated = self.repeated

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
                "expires_at": expires_at,
                "repeated": repeated,
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

        state = HoldState(d.pop("state"))

        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at"))

        repeated = d.pop("repeated")

        hold = cls(
            id=id,
            user=user,
            asset=asset,
            environment=environment,
            amount=amount,
            captured=captured,
            released=released,
            rest=rest,
            state=state,
            expires_at=expires_at,
            repeated=repeated,
        )

        hold.additional_properties = d
        return hold

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
