from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.environment import Environment
from ..models.fulfilment_status import FulfilmentStatus
from ..models.order_fulfilment import OrderFulfilment
from ..models.order_status import OrderStatus

if TYPE_CHECKING:
    from ..models.grant import Grant
    from ..models.paid_period import PaidPeriod
    from ..models.payment import Payment


T = TypeVar("T", bound="Order")


@_attrs_define
class Order:
    """
    Attributes:
        number (str): A number of ours, in decimal.
        user (str): The user, by the name that the app has for them.
        environment (Environment): `live`, or `sandbox` for what a provider's sandbox paid.
        product (str): The product, by its `sku`.
        title (str): The product's title when it was ordered.
        quantity (int): How many of the product.
        amount_minor (int | None): The price in minor units; null: the store decides it.
        currency (None | str): The currency of the price; null: the store decides it.
        grants (list[Grant]): What one piece gives.
        fulfilment (OrderFulfilment): `wallet`: the coins are in Tillbook. `external`: the app's backend delivers them.
        status (OrderStatus):
        fulfilment_status (FulfilmentStatus | None): What the app's backend said of its delivery; null: it is not paid,
            or the coins are in Tillbook.
        created_at (datetime.datetime): When.
        expires_at (datetime.datetime): Until when it can be paid.
        paid_at (datetime.datetime | None): When it was paid; null: it is not.
        payments (list[Payment]): Its payments, in the order in which they were made.
        agreement (None | PaidPeriod): The period of an agreement that it pays; null: it was bought by itself. An event
            about a period that a store has charged for says null, too: `agreement.renewed` names the order.
    """

    number: str
    user: str
    environment: Environment
    product: str
    title: str
    quantity: int
    amount_minor: int | None
    currency: None | str
    grants: list[Grant]
    fulfilment: OrderFulfilment
    status: OrderStatus
    fulfilment_status: FulfilmentStatus | None
    created_at: datetime.datetime
    expires_at: datetime.datetime
    paid_at: datetime.datetime | None
    payments: list[Payment]
    agreement: None | PaidPeriod
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.paid_period import PaidPeriod

        number = self.number

        user = self.user

        environment = self.environment.value

        product = self.product

        title = self.title

        quantity = self.quantity

        amount_minor: int | None
        amount_minor = self.amount_minor

        currency: None | str
        currency = self.currency

        grants = []
        for grants_item_data in self.grants:
            grants_item = grants_item_data.to_dict()
            grants.append(grants_item)

        fulfilment = self.fulfilment.value

        status = self.status.value

        fulfilment_status: None | str
        if isinstance(self.fulfilment_status, FulfilmentStatus):
            fulfilment_status = self.fulfilment_status.value
        else:
            fulfilment_status = self.fulfilment_status

        created_at = self.created_at.isoformat()

        expires_at = self.expires_at.isoformat()

        paid_at: None | str
        if isinstance(self.paid_at, datetime.datetime):
            paid_at = self.paid_at.isoformat()
        else:
            paid_at = self.paid_at

        payments = []
        for payments_item_data in self.payments:
            payments_item = payments_item_data.to_dict()
            payments.append(payments_item)

        agreement: dict[str, Any] | None
        if isinstance(self.agreement, PaidPeriod):
            agreement = self.agreement.to_dict()
        else:
            agreement = self.agreement

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "number": number,
                "user": user,
                "environment": environment,
                "product": product,
                "title": title,
                "quantity": quantity,
                "amount_minor": amount_minor,
                "currency": currency,
                "grants": grants,
                "fulfilment": fulfilment,
                "status": status,
                "fulfilment_status": fulfilment_status,
                "created_at": created_at,
                "expires_at": expires_at,
                "paid_at": paid_at,
                "payments": payments,
                "agreement": agreement,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.grant import Grant
        from ..models.paid_period import PaidPeriod
        from ..models.payment import Payment

        d = dict(src_dict)
        number = d.pop("number")

        user = d.pop("user")

        environment = Environment(d.pop("environment"))

        product = d.pop("product")

        title = d.pop("title")

        quantity = d.pop("quantity")

        def _parse_amount_minor(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        amount_minor = _parse_amount_minor(d.pop("amount_minor"))

        def _parse_currency(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        currency = _parse_currency(d.pop("currency"))

        grants = []
        _grants = d.pop("grants")
        for grants_item_data in _grants:
            grants_item = Grant.from_dict(grants_item_data)

            grants.append(grants_item)

        fulfilment = OrderFulfilment(d.pop("fulfilment"))

        status = OrderStatus(d.pop("status"))

        def _parse_fulfilment_status(data: object) -> FulfilmentStatus | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                fulfilment_status_type_0 = FulfilmentStatus(data)

                return fulfilment_status_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(FulfilmentStatus | None, data)

        fulfilment_status = _parse_fulfilment_status(d.pop("fulfilment_status"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at"))

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

        payments = []
        _payments = d.pop("payments")
        for payments_item_data in _payments:
            payments_item = Payment.from_dict(payments_item_data)

            payments.append(payments_item)

        def _parse_agreement(data: object) -> None | PaidPeriod:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                agreement_type_0 = PaidPeriod.from_dict(data)

                return agreement_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | PaidPeriod, data)

        agreement = _parse_agreement(d.pop("agreement"))

        order = cls(
            number=number,
            user=user,
            environment=environment,
            product=product,
            title=title,
            quantity=quantity,
            amount_minor=amount_minor,
            currency=currency,
            grants=grants,
            fulfilment=fulfilment,
            status=status,
            fulfilment_status=fulfilment_status,
            created_at=created_at,
            expires_at=expires_at,
            paid_at=paid_at,
            payments=payments,
            agreement=agreement,
        )

        order.additional_properties = d
        return order

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
