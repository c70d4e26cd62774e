from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

from ..models.environment import Environment
from ..types import UNSET, Unset

T = TypeVar("T", bound="DebitRequest")


@_attrs_define
class DebitRequest:
    """
    Attributes:
        user (str): The user, by the name that the app has for them.
        asset (str): What is counted: `coin`, or another virtual currency of the app.
        amount (int): How much of the asset.
        reason (str): Why, for people.
        environment (Environment | Unset): `live`, or `sandbox` for what a provider's sandbox paid.
        reference (str | Unset): What the caller wants to find the posting by.
    """

    user: str
    asset: str
    amount: int
    reason: str
    environment: Environment | Unset = UNSET
    reference: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        user = self.user

        asset = self.asset

        amount = self.amount

        reason = self.reason

        environment: str | Unset = UNSET
        if not isinstance(self.environment, Unset):
            environment = self.environment.value

        reference = self.reference

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "user": user,
                "asset": asset,
                "amount": amount,
                "reason": reason,
            }
        )
        if environment is not UNSET:
            field_dict["environment"] = environment
        if reference is not UNSET:
            field_dict["reference"] = reference

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        user = d.pop("user")

        asset = d.pop("asset")

        amount = d.pop("amount")

        reason = d.pop("reason")

        _environment = d.pop("environment", UNSET)
        environment: Environment | Unset
        if isinstance(_environment, Unset):
            environment = UNSET
        else:
            environment = Environment(_environment)

        reference = d.pop("reference", UNSET)

        debit_request = cls(
            user=user,
            asset=asset,
            amount=amount,
            reason=reason,
            environment=environment,
            reference=reference,
        )

        return debit_request
