from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..models.environment import Environment
from ..types import UNSET, Unset

T = TypeVar("T", bound="HoldRequest")


@_attrs_define
class HoldRequest:
    """
    Attributes:
        asset (str): What is counted: `coin`, or another virtual currency of the app.
        amount (int): How much of the asset.
        seconds (int): For how long.
        user (None | str | Unset): Backend keys only: who spends.
        environment (Environment | Unset): `live`, or `sandbox` for what a provider's sandbox paid.
        reference (str | Unset): What the caller wants to find the posting by.
        note (str | Unset): For people.
    """

    asset: str
    amount: int
    seconds: int
    user: None | str | Unset = UNSET
    environment: Environment | Unset = UNSET
    reference: str | Unset = UNSET
    note: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        asset = self.asset

        amount = self.amount

        seconds = self.seconds

        user: None | str | Unset
        if isinstance(self.user, Unset):
            user = UNSET
        else:
            user = self.user

        environment: str | Unset = UNSET
        if not isinstance(self.environment, Unset):
            environment = self.environment.value

        reference = self.reference

        note = self.note

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "asset": asset,
                "amount": amount,
                "seconds": seconds,
            }
        )
        if user is not UNSET:
            field_dict["user"] = user
        if environment is not UNSET:
            field_dict["environment"] = environment
        if reference is not UNSET:
            field_dict["reference"] = reference
        if note is not UNSET:
            field_dict["note"] = note

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        asset = d.pop("asset")

        amount = d.pop("amount")

        seconds = d.pop("seconds")

        def _parse_user(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        user = _parse_user(d.pop("user", UNSET))

        _environment = d.pop("environment", UNSET)
        environment: Environment | Unset
        if isinstance(_environment, Unset):
            environment = UNSET
        else:
            environment = Environment(_environment)

        reference = d.pop("reference", UNSET)

        note = d.pop("note", UNSET)

        hold_request = cls(
            asset=asset,
            amount=amount,
            seconds=seconds,
            user=user,
            environment=environment,
            reference=reference,
            note=note,
        )

        return hold_request
