from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.refund_of_import_state import RefundOfImportState

T = TypeVar("T", bound="RefundOfImport")


@_attrs_define
class RefundOfImport:
    """
    Attributes:
        number (str): A number of ours, in decimal.
        state (RefundOfImportState): `proposed`: its entry waits for a second person.
        provider_account (str): The provider account, by its name.
        provider_number (str): The provider's number of the purchase.
        user (None | str): Whose agreement it is; null: it went over to another user.
        agreement (None | str): The imported agreement; null: it went over to another user.
        at (datetime.datetime): When the money went back.
        price_minor (int | None): The gross price of the purchase; null: not told.
        currency (None | str): Of all sums here.
        refunded_minor (int | None): What of it is gone by all refunds that were told; null: the price is not known.
        booked_minor (int): What is booked of that already. The rest is booked by the end: debit `opening`, credit
            `clearing` of the provider account.
        entry (None | str): The newest journal entry about the purchase.
    """

    number: str
    state: RefundOfImportState
    provider_account: str
    provider_number: str
    user: None | str
    agreement: None | str
    at: datetime.datetime
    price_minor: int | None
    currency: None | str
    refunded_minor: int | None
    booked_minor: int
    entry: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        state = self.state.value

        provider_account = self.provider_account

        provider_number = self.provider_number

        user: None | str
        user = self.user

        agreement: None | str
        agreement = self.agreement

        at = self.at.isoformat()

        price_minor: int | None
        price_minor = self.price_minor

        currency: None | str
        currency = self.currency

        refunded_minor: int | None
        refunded_minor = self.refunded_minor

        booked_minor = self.booked_minor

        entry: None | str
        entry = self.entry

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "number": number,
                "state": state,
                "provider_account": provider_account,
                "provider_number": provider_number,
                "user": user,
                "agreement": agreement,
                "at": at,
                "price_minor": price_minor,
                "currency": currency,
                "refunded_minor": refunded_minor,
                "booked_minor": booked_minor,
                "entry": entry,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        number = d.pop("number")

        state = RefundOfImportState(d.pop("state"))

        provider_account = d.pop("provider_account")

        provider_number = d.pop("provider_number")

        def _parse_user(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        user = _parse_user(d.pop("user"))

        def _parse_agreement(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        agreement = _parse_agreement(d.pop("agreement"))

        at = datetime.datetime.fromisoformat(d.pop("at"))

        def _parse_price_minor(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        price_minor = _parse_price_minor(d.pop("price_minor"))

        def _parse_currency(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        currency = _parse_currency(d.pop("currency"))

        def _parse_refunded_minor(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        refunded_minor = _parse_refunded_minor(d.pop("refunded_minor"))

        booked_minor = d.pop("booked_minor")

        def _parse_entry(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        entry = _parse_entry(d.pop("entry"))

        refund_of_import = cls(
            number=number,
            state=state,
            provider_account=provider_account,
            provider_number=provider_number,
            user=user,
            agreement=agreement,
            at=at,
            price_minor=price_minor,
            currency=currency,
            refunded_minor=refunded_minor,
            booked_minor=booked_minor,
            entry=entry,
        )

        refund_of_import.additional_properties = d
        return refund_of_import

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
