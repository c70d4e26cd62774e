from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.environment import Environment

T = TypeVar("T", bound="Freeze")


@_attrs_define
class Freeze:
    """
    Attributes:
        number (str): A number of ours, in decimal.
        user (str): The user, by the name that the app has for them.
        asset (None | str): The wallet; null: every wallet of the environment.
        environment (Environment): `live`, or `sandbox` for what a provider's sandbox paid.
        frozen (bool): True: frozen. False: spends are allowed again.
        reason (str): Why, for people.
        actor (str): Who did it.
        refund (None | str): The refund that froze the wallet; null: a person or program did.
        at (datetime.datetime): When.
    """

    number: str
    user: str
    asset: None | str
    environment: Environment
    frozen: bool
    reason: str
    actor: str
    refund: None | str
    at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        user = self.user

        asset: None | str
        asset = self.asset

        environment = self.environment.value

        frozen = self.frozen

        reason = self.reason

        actor = self.actor

        refund: None | str
        refund = self.refund

        at = self.at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "number": number,
                "user": user,
                "asset": asset,
                "environment": environment,
                "frozen": frozen,
                "reason": reason,
                "actor": actor,
                "refund": refund,
                "at": at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        number = d.pop("number")

        user = d.pop("user")

        def _parse_asset(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        asset = _parse_asset(d.pop("asset"))

        environment = Environment(d.pop("environment"))

        frozen = d.pop("frozen")

        reason = d.pop("reason")

        actor = d.pop("actor")

        def _parse_refund(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        refund = _parse_refund(d.pop("refund"))

        at = datetime.datetime.fromisoformat(d.pop("at"))

        freeze = cls(
            number=number,
            user=user,
            asset=asset,
            environment=environment,
            frozen=frozen,
            reason=reason,
            actor=actor,
            refund=refund,
            at=at,
        )

        freeze.additional_properties = d
        return freeze

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
