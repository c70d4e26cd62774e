from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.environment import Environment

T = TypeVar("T", bound="BalanceAt")


@_attrs_define
class BalanceAt:
    """
    Attributes:
        user (str): The user, by the name that the app has for them.
        asset (str): What is counted: `coin`, or another virtual currency of the app.
        environment (Environment): `live`, or `sandbox` for what a provider's sandbox paid.
        at (datetime.datetime): The moment.
        balance (int): What the wallet held then.
    """

    user: str
    asset: str
    environment: Environment
    at: datetime.datetime
    balance: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        user = self.user

        asset = self.asset

        environment = self.environment.value

        at = self.at.isoformat()

        balance = self.balance

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "user": user,
                "asset": asset,
                "environment": environment,
                "at": at,
                "balance": balance,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        user = d.pop("user")

        asset = d.pop("asset")

        environment = Environment(d.pop("environment"))

        at = datetime.datetime.fromisoformat(d.pop("at"))

        balance = d.pop("balance")

        balance_at = cls(
            user=user,
            asset=asset,
            environment=environment,
            at=at,
            balance=balance,
        )

        balance_at.additional_properties = d
        return balance_at

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
