from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.payment_status import PaymentStatus

if TYPE_CHECKING:
    from ..models.payment_action_type_0 import PaymentActionType0


T = TypeVar("T", bound="Payment")


@_attrs_define
class Payment:
    """
    Attributes:
        number (str): A number of ours, in decimal.
        provider_account (str): The provider account, by its name.
        way (str): The way of paying.
        status (PaymentStatus): How far the payment has come. `unknown`: the provider did not say, and is asked again.
        action (None | PaymentActionType0): What the client does next, while the payment is open. `type` says what the
            other members mean.
        created_at (datetime.datetime): When.
        paid_at (datetime.datetime | None): When it was paid; null: it is not.
    """

    number: str
    provider_account: str
    way: str
    status: PaymentStatus
    action: None | PaymentActionType0
    created_at: datetime.datetime
    paid_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.payment_action_type_0 import PaymentActionType0

        number = self.number

        provider_account = self.provider_account

        way = self.way

        status = self.status.value

        action: dict[str, Any] | None
        if isinstance(self.action, PaymentActionType0):
            action = self.action.to_dict()
        else:
            action = self.action

        created_at = self.created_at.isoformat()

        paid_at: None | str
        if isinstance(self.paid_at, datetime.datetime):
            paid_at = self.paid_at.isoformat()
        else:
            paid_at = self.paid_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "number": number,
                "provider_account": provider_account,
                "way": way,
                "status": status,
                "action": action,
                "created_at": created_at,
                "paid_at": paid_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.payment_action_type_0 import PaymentActionType0

        d = dict(src_dict)
        number = d.pop("number")

        provider_account = d.pop("provider_account")

        way = d.pop("way")

        status = PaymentStatus(d.pop("status"))

        def _parse_action(data: object) -> None | PaymentActionType0:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                action_type_0 = PaymentActionType0.from_dict(data)

                return action_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | PaymentActionType0, data)

        action = _parse_action(d.pop("action"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        def _parse_paid_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                paid_at_type_0 = datetime.datetime.fromisoformat(data)

                return paid_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        paid_at = _parse_paid_at(d.pop("paid_at"))

        payment = cls(
            number=number,
            provider_account=provider_account,
            way=way,
            status=status,
            action=action,
            created_at=created_at,
            paid_at=paid_at,
        )

        payment.additional_properties = d
        return payment

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
