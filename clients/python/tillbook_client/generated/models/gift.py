from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.environment import Environment
from ..models.gift_reason import GiftReason
from ..models.gift_status import GiftStatus

T = TypeVar("T", bound="Gift")


@_attrs_define
class Gift:
    """
    Attributes:
        number (str): A number of ours, in decimal.
        giver (str): Who gave.
        receiver (str): Who gets the coins.
        asset (str): What is counted: `coin`, or another virtual currency of the app.
        environment (Environment): `live`, or `sandbox` for what a provider's sandbox paid.
        amount (int): How much of the asset.
        message (str): From the giver to the receiver.
        reference (str): The app's own.
        status (GiftStatus): `sent`: on its way; it ends by itself, as `received` or, with the coins back, as
            `returned`.
        reason (GiftReason): Why it was returned; empty for others.
        created_at (datetime.datetime): When.
        ended_at (datetime.datetime | None): When it ended; null: it is on its way.
    """

    number: str
    giver: str
    receiver: str
    asset: str
    environment: Environment
    amount: int
    message: str
    reference: str
    status: GiftStatus
    reason: GiftReason
    created_at: datetime.datetime
    ended_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        giver = self.giver

        receiver = self.receiver

        asset = self.asset

        environment = self.environment.value

        amount = self.amount

        message = self.message

        reference = self.reference

        status = self.status.value

        reason = self.reason.value

        created_at = self.created_at.isoformat()

        ended_at: None | str
        if isinstance(self.ended_at, datetime.datetime):
            ended_at = self.ended_at.isoformat()
        else:
            ended_at = self.ended_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "number": number,
                "giver": giver,
                "receiver": receiver,
                "asset": asset,
                "environment": environment,
                "amount": amount,
                "message": message,
                "reference": reference,
                "status": status,
                "reason": reason,
                "created_at": created_at,
                "ended_at": ended_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        number = d.pop("number")

        giver = d.pop("giver")

        receiver = d.pop("receiver")

        asset = d.pop("asset")

        environment = Environment(d.pop("environment"))

        amount = d.pop("amount")

        message = d.pop("message")

        reference = d.pop("reference")

        status = GiftStatus(d.pop("status"))

        reason = GiftReason(d.pop("reason"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        def _parse_ended_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                ended_at_type_0 = datetime.datetime.fromisoformat(data)

                return ended_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        ended_at = _parse_ended_at(d.pop("ended_at"))

        gift = cls(
            number=number,
            giver=giver,
            receiver=receiver,
            asset=asset,
            environment=environment,
            amount=amount,
            message=message,
            reference=reference,
            status=status,
            reason=reason,
            created_at=created_at,
            ended_at=ended_at,
        )

        gift.additional_properties = d
        return gift

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
