from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.lot_kind import LotKind

T = TypeVar("T", bound="Lot")


@_attrs_define
class Lot:
    """
    Attributes:
        lot (int): Its name in its wallet: the version of the statement's line that brought it in.
        kind (LotKind): Paid for, or given on top.
        granted (int): What came in.
        left (int): What of it is left.
        expires_at (datetime.datetime | None): When what is left expires; null: never.
        order (None | str): The user's order that bought it; null for other coins.
        payment (None | str): The payment that bought it; null for other coins.
        product (str): The product that it came with; empty for none.
        value_minor (int): The money that was paid for the whole lot, in minor units of `currency`.
        currency (str): The currency of the value; empty where there is none.
        transfer (UUID): The transfer.
        source (str): The kind of that transfer: `purchase`, `bonus`, `grant`, …
        reference (str): What the caller gave.
        note (str): The reason of a grant.
        created_at (datetime.datetime): When.
    """

    lot: int
    kind: LotKind
    granted: int
    left: int
    expires_at: datetime.datetime | None
    order: None | str
    payment: None | str
    product: str
    value_minor: int
    currency: str
    transfer: UUID
    source: str
    reference: str
    note: str
    created_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        lot = self.lot

        kind = self.kind.value

        granted = self.granted

        left = self.left

        expires_at: None | str
        if isinstance(self.expires_at, datetime.datetime):
            expires_at = self.expires_at.isoformat()
        else:
            expires_at = self.expires_at

        order: None | str
        order = self.order

        payment: None | str
        payment = self.payment

        product = self.product

        value_minor = self.value_minor

        currency = self.currency

        transfer = str(self.transfer)

        source = self.source

        reference = self.reference

        note = self.note

        created_at = self.created_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "lot": lot,
                "kind": kind,
                "granted": granted,
                "left": left,
                "expires_at": expires_at,
                "order": order,
                "payment": payment,
                "product": product,
                "value_minor": value_minor,
                "currency": currency,
                "transfer": transfer,
                "source": source,
                "reference": reference,
                "note": note,
                "created_at": created_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        lot = d.pop("lot")

        kind = LotKind(d.pop("kind"))

        granted = d.pop("granted")

        left = d.pop("left")

        def _parse_expires_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                expires_at_type_0 = datetime.datetime.fromisoformat(data)

                return expires_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        expires_at = _parse_expires_at(d.pop("expires_at"))

        def _parse_order(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        order = _parse_order(d.pop("order"))

        def _parse_payment(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        payment = _parse_payment(d.pop("payment"))

        product = d.pop("product")

        value_minor = d.pop("value_minor")

        currency = d.pop("currency")

        transfer = UUID(d.pop("transfer"))

        source = d.pop("source")

        reference = d.pop("reference")

        note = d.pop("note")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        lot = cls(
            lot=lot,
            kind=kind,
            granted=granted,
            left=left,
            expires_at=expires_at,
            order=order,
            payment=payment,
            product=product,
            value_minor=value_minor,
            currency=currency,
            transfer=transfer,
            source=source,
            reference=reference,
            note=note,
            created_at=created_at,
        )

        lot.additional_properties = d
        return lot

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
