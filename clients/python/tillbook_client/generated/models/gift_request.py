from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..models.environment import Environment
from ..types import UNSET, Unset

T = TypeVar("T", bound="GiftRequest")


@_attrs_define
class GiftRequest:
    """
    Attributes:
        receiver (str): Who gets the coins.
        asset (str): What is counted: `coin`, or another virtual currency of the app.
        amount (int): How much of the asset.
        user (None | str | Unset): Backend keys only: who gives.
        environment (Environment | Unset): `live`, or `sandbox` for what a provider's sandbox paid.
        message (str | Unset): From the giver to the receiver: both statements show it.
        reference (str | Unset): The app's own.
    """

    receiver: str
    asset: str
    amount: int
    user: None | str | Unset = UNSET
    environment: Environment | Unset = UNSET
    message: str | Unset = UNSET
    reference: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        receiver = self.receiver

        asset = self.asset

        amount = self.amount

        user: None | str | Unset
        if isinstance(self.user, Unset):
            user = UNSET
        else:
            user = self.user

        environment: str | Unset = UNSET
        if not isinstance(self.environment, Unset):
            environment = self.environment.value

        message = self.message

        reference = self.reference

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "receiver": receiver,
                "asset": asset,
                "amount": amount,
            }
        )
        if user is not UNSET:
            field_dict["user"] = user
        if environment is not UNSET:
            field_dict["environment"] = environment
        if message is not UNSET:
            field_dict["message"] = message
        if reference is not UNSET:
            field_dict["reference"] = reference

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        receiver = d.pop("receiver")

        asset = d.pop("asset")

        amount = d.pop("amount")

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

        message = d.pop("message", UNSET)

        reference = d.pop("reference", UNSET)

        gift_request = cls(
            receiver=receiver,
            asset=asset,
            amount=amount,
            user=user,
            environment=environment,
            message=message,
            reference=reference,
        )

        return gift_request
