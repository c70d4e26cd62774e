from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.agreement_ended_by import AgreementEndedBy
from ..models.agreement_price_increase_type_0 import AgreementPriceIncreaseType0
from ..models.agreement_status import AgreementStatus
from ..models.environment import Environment

if TYPE_CHECKING:
    from ..models.agreement_action_type_0 import AgreementActionType0
    from ..models.period_length import PeriodLength


T = TypeVar("T", bound="Agreement")


@_attrs_define
class Agreement:
    """
    Attributes:
        number (str): A number of ours, in decimal.
        user (str): The user, by the name that the app has for them.
        product (str): The product, by its `sku`.
        title (str): For people.
        environment (Environment): `live`, or `sandbox` for what a provider's sandbox paid.
        provider_account (str): The provider account, by its name.
        provider_number (None | str): The provider's own number, once it is known.
        by_store (bool): A store charges, and only the payer can change it there. Else we charge.
        way (str): The way of signing.
        status (AgreementStatus): `past_due`: the period that is due is not paid.
        action (AgreementActionType0 | None): What the client does next to sign; `type` tells how to read the rest.
        amount_minor (int | None): What a period costs, in minor units; null where a store sets the price.
        currency (None | str): A currency, by its code in ISO 4217.
        period (None | PeriodLength): How long a period is; null where only the store knows.
        zone (str): Whose calendar and hours count.
        entitlements (list[str]): What is active while a period is paid.
        paid_until (datetime.datetime | None): The end of the last paid period; null: none was paid.
        grace_until (datetime.datetime | None): Until when a store lets the payer go on while it tries to collect.
        next_charge_at (datetime.datetime | None): When we charge next; null: not planned.
        replaces (None | str): The agreement that ended, or will end, when this one is signed.
        next_product (None | str): What it is about from the next period on, where that changes.
        renews (bool | None): Whether a store will collect a further period; null: not told.
        price_increase (AgreementPriceIncreaseType0 | None): A higher price that a store asks from the next period on.
            `pending`: the payer has not said yes.
        cancel_at (datetime.datetime | None): When it is ended because somebody wants that.
        signed_at (datetime.datetime | None): When it came into force.
        ended_at (datetime.datetime | None): When it ended.
        ended_by (AgreementEndedBy): How it ended; empty while it has not.
        created_at (datetime.datetime): When.
        expires_at (datetime.datetime): Until when it can be signed.
    """

    number: str
    user: str
    product: str
    title: str
    environment: Environment
    provider_account: str
    provider_number: None | str
    by_store: bool
    way: str
    status: AgreementStatus
    action: AgreementActionType0 | None
    amount_minor: int | None
    currency: None | str
    period: None | PeriodLength
    zone: str
    entitlements: list[str]
    paid_until: datetime.datetime | None
    grace_until: datetime.datetime | None
    next_charge_at: datetime.datetime | None
    replaces: None | str
    next_product: None | str
    renews: bool | None
    price_increase: AgreementPriceIncreaseType0 | None
    cancel_at: datetime.datetime | None
    signed_at: datetime.datetime | None
    ended_at: datetime.datetime | None
    ended_by: AgreementEndedBy
    created_at: datetime.datetime
    expires_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.agreement_action_type_0 import AgreementActionType0
        from ..models.period_length import PeriodLength

        number = self.number

        user = self.user

        product = self.product

        title = self.title

        environment = self.environment.value

        provider_account = self.provider_account

        provider_number: None | str
        provider_number = self.provider_number

        by_store = self.by_store

        way = self.way

        status = self.status.value

        action: dict[str, Any] | None
        if isinstance(self.action, AgreementActionType0):
            action = self.action.to_dict()
        else:
            action = self.action

        amount_minor: int | None
        amount_minor = self.amount_minor

        currency: None | str
        currency = self.currency

        period: dict[str, Any] | None
        if isinstance(self.period, PeriodLength):
            period = self.period.to_dict()
        else:
            period = self.period

        zone = self.zone

        entitlements = self.entitlements

        paid_until: None | str
        if isinstance(self.paid_until, datetime.datetime):
            paid_until = self.paid_until.isoformat()
        else:
            paid_until = self.paid_until

        grace_until: None | str
        if isinstance(self.grace_until, datetime.datetime):
            grace_until = self.grace_until.isoformat()
        else:
            grace_until = self.grace_until

        next_charge_at: None | str
        if isinstance(self.next_charge_at, datetime.datetime):
            next_charge_at = self.next_charge_at.isoformat()
        else:
            next_charge_at = self.next_charge_at

        replaces: None | str
        replaces = self.replaces

        next_product: None | str
        next_product = self.next_product

        renews: bool | None
        renews = self.renews

        price_increase: None | str
        if isinstance(self.price_increase, AgreementPriceIncreaseType0):
            price_increase = self.price_increase.value
        else:
            price_increase = self.price_increase

        cancel_at: None | str
        if isinstance(self.cancel_at, datetime.datetime):
            cancel_at = self.cancel_at.isoformat()
        else:
            cancel_at = self.cancel_at

        signed_at: None | str
        if isinstance(self.signed_at, datetime.datetime):
            signed_at = self.signed_at.isoformat()
        else:
            signed_at = self.signed_at

        ended_at: None | str
        if isinstance(self.ended_at, datetime.datetime):
            ended_at = self.ended_at.isoformat()
        else:
            ended_at = self.ended_at

        ended_by = self.ended_by.value

        created_at = self.created_at.isoformat()

        expires_at = self.expires_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "number": number,
                "user": user,
                "product": product,
                "title": title,
                "environment": environment,
                "provider_account": provider_account,
                "provider_number": provider_number,
                "by_store": by_store,
                "way": way,
                "status": status,
                "action": action,
                "amount_minor": amount_minor,
                "currency": currency,
                "period": period,
                "zone": zone,
                "entitlements": entitlements,
                "paid_until": paid_until,
                "grace_until": grace_until,
                "next_charge_at": next_charge_at,
                "replaces": replaces,
                "next_product": next_product,
                "renews": renews,
                "price_increase": price_increase,
                "cancel_at": cancel_at,
                "signed_at": signed_at,
                "ended_at": ended_at,
                "ended_by": ended_by,
                "created_at": created_at,
                "expires_at": expires_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.agreement_action_type_0 import AgreementActionType0
        from ..models.period_length import PeriodLength

        d = dict(src_dict)
        number = d.pop("number")

        user = d.pop("user")

        product = d.pop("product")

        title = d.pop("title")

        environment = Environment(d.pop("environment"))

        provider_account = d.pop("provider_account")

        def _parse_provider_number(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        provider_number = _parse_provider_number(d.pop("provider_number"))

        by_store = d.pop("by_store")

        way = d.pop("way")

        status = AgreementStatus(d.pop("status"))

        def _parse_action(data: object) -> AgreementActionType0 | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                action_type_0 = AgreementActionType0.from_dict(data)

                return action_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AgreementActionType0 | None, data)

        action = _parse_action(d.pop("action"))

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

        def _parse_period(data: object) -> None | PeriodLength:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                period_type_0 = PeriodLength.from_dict(data)

                return period_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | PeriodLength, data)

        period = _parse_period(d.pop("period"))

        zone = d.pop("zone")

        entitlements = cast(list[str], d.pop("entitlements"))

        def _parse_paid_until(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                paid_until_type_0 = datetime.datetime.fromisoformat(data)

                return paid_until_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        paid_until = _parse_paid_until(d.pop("paid_until"))

        def _parse_grace_until(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                grace_until_type_0 = datetime.datetime.fromisoformat(data)

                return grace_until_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        grace_until = _parse_grace_until(d.pop("grace_until"))

        def _parse_next_charge_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                next_charge_at_type_0 = datetime.datetime.fromisoformat(data)

                return next_charge_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        next_charge_at = _parse_next_charge_at(d.pop("next_charge_at"))

        def _parse_replaces(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        replaces = _parse_replaces(d.pop("replaces"))

        def _parse_next_product(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        next_product = _parse_next_product(d.pop("next_product"))

        def _parse_renews(data: object) -> bool | None:
            if data is None:
                return data
            return cast(bool | None, data)

        renews = _parse_renews(d.pop("renews"))

        def _parse_price_increase(data: object) -> AgreementPriceIncreaseType0 | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                price_increase_type_0 = AgreementPriceIncreaseType0(data)

                return price_increase_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AgreementPriceIncreaseType0 | None, data)

        price_increase = _parse_price_increase(d.pop("price_increase"))

        def _parse_cancel_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                cancel_at_type_0 = datetime.datetime.fromisoformat(data)

                return cancel_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        cancel_at = _parse_cancel_at(d.pop("cancel_at"))

        def _parse_signed_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                signed_at_type_0 = datetime.datetime.fromisoformat(data)

                return signed_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        signed_at = _parse_signed_at(d.pop("signed_at"))

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

        ended_by = AgreementEndedBy(d.pop("ended_by"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at"))

        agreement = cls(
            number=number,
            user=user,
            product=product,
            title=title,
            environment=environment,
            provider_account=provider_account,
            provider_number=provider_number,
            by_store=by_store,
            way=way,
            status=status,
            action=action,
            amount_minor=amount_minor,
            currency=currency,
            period=period,
            zone=zone,
            entitlements=entitlements,
            paid_until=paid_until,
            grace_until=grace_until,
            next_charge_at=next_charge_at,
            replaces=replaces,
            next_product=next_product,
            renews=renews,
            price_increase=price_increase,
            cancel_at=cancel_at,
            signed_at=signed_at,
            ended_at=ended_at,
            ended_by=ended_by,
            created_at=created_at,
            expires_at=expires_at,
        )

        agreement.additional_properties = d
        return agreement

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
