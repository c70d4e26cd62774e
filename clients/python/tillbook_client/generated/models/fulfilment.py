from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.environment import Environment
from ..models.fulfilment_asks_type_0 import FulfilmentAsksType0
from ..models.fulfilment_status import FulfilmentStatus

if TYPE_CHECKING:
    from ..models.unit import Unit


T = TypeVar("T", bound="Fulfilment")


@_attrs_define
class Fulfilment:
    """
    Attributes:
        order (str): The order, which is fulfilled once.
        user (str): The user, by the name that the app has for them.
        environment (Environment): `live`, or `sandbox` for what a provider's sandbox paid.
        product (str): The product, by its `sku`.
        quantity (int): How many of the product.
        payment (str): The payment that bought the order.
        status (FulfilmentStatus): The backend's last word about an order of an external product that is paid.
        revision (int): How many wishes there were: the number of the last one.
        asks (FulfilmentAsksType0 | None): What the last wish asks for; null: it is answered.
        units (list[Unit]): What the user is to have.
        told (int): How often the last wish was told.
        asked_at (datetime.datetime): When the last wish was made.
        answered_at (datetime.datetime | None): When an answer came last; null: none did.
        reason (str): Of the last answer.
        reference (str): The backend's own, of the last answer.
        actor (str): Who gave the last answer.
        ended_by (None | str): The person who ended the asking; null: nobody did.
    """

    order: str
    user: str
    environment: Environment
    product: str
    quantity: int
    payment: str
    status: FulfilmentStatus
    revision: int
    asks: FulfilmentAsksType0 | None
    units: list[Unit]
    told: int
    asked_at: datetime.datetime
    answered_at: datetime.datetime | None
    reason: str
    reference: str
    actor: str
    ended_by: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        order = self.order

        user = self.user

        environment = self.environment.value

        product = self.product

        quantity = self.quantity

        payment = self.payment

        status = self.status.value

        revision = self.revision

        asks: None | str
        if isinstance(self.asks, FulfilmentAsksType0):
            asks = self.asks.value
        else:
            asks = self.asks

        units = []
        for units_item_data in self.units:
            units_item = units_item_data.to_dict()
            units.append(units_item)

        told = self.told

        asked_at = self.asked_at.isoformat()

        answered_at: None | str
        if isinstance(self.answered_at, datetime.datetime):
            answered_at = self.answered_at.isoformat()
        else:
            answered_at = self.answered_at

        reason = self.reason

        reference = self.reference

        actor = self.actor

        ended_by: None | str
        ended_by = self.ended_by

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "order": order,
                "user": user,
                "environment": environment,
                "product": product,
                "quantity": quantity,
                "payment": payment,
                "status": status,
                "revision": revision,
                "asks": asks,
                "units": units,
                "told": told,
                "asked_at": asked_at,
                "answered_at": answered_at,
                "reason": reason,
                "reference": reference,
                "actor": actor,
                "ended_by": ended_by,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.unit import Unit

        d = dict(src_dict)
        order = d.pop("order")

        user = d.pop("user")

        environment = Environment(d.pop("environment"))

        product = d.pop("product")

        quantity = d.pop("quantity")

        payment = d.pop("payment")

        status = FulfilmentStatus(d.pop("status"))

        revision = d.pop("revision")

        def _parse_asks(data: object) -> FulfilmentAsksType0 | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                asks_type_0 = FulfilmentAsksType0(data)

                return asks_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(FulfilmentAsksType0 | None, data)

        asks = _parse_asks(d.pop("asks"))

        units = []
        _units = d.pop("units")
        for units_item_data in _units:
            units_item = Unit.from_dict(units_item_data)

            units.append(units_item)

        told = d.pop("told")

        asked_at = datetime.datetime.fromisoformat(d.pop("asked_at"))

        def _parse_answered_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                answered_at_type_0 = datetime.datetime.fromisoformat(data)

                return answered_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        answered_at = _parse_answered_at(d.pop("answered_at"))

        reason = d.pop("reason")

        reference = d.pop("reference")

        actor = d.pop("actor")

        def _parse_ended_by(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        ended_by = _parse_ended_by(d.pop("ended_by"))

        fulfilment = cls(
            order=order,
            user=user,
            environment=environment,
            product=product,
            quantity=quantity,
            payment=payment,
            status=status,
            revision=revision,
            asks=asks,
            units=units,
            told=told,
            asked_at=asked_at,
            answered_at=answered_at,
            reason=reason,
            reference=reference,
            actor=actor,
            ended_by=ended_by,
        )

        fulfilment.additional_properties = d
        return fulfilment

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
