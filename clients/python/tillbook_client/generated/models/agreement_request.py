from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.agreement_request_extra import AgreementRequestExtra


T = TypeVar("T", bound="AgreementRequest")


@_attrs_define
class AgreementRequest:
    """
    Attributes:
        provider_account (str): The provider account, by its name.
        way (str): The way of paying, one of the provider account's.
        product (str): The product, by its `sku`.
        extra (AgreementRequestExtra | Unset): What this way needs: `GET /v1/providers` has its JSON Schema.
        return_url (str | Unset): Where the provider sends the payer afterwards.
        currency (None | str | Unset): The currency to pay in; not given: one that product and provider account share.
        zone (None | str | Unset): The user's time zone, whose calendar and hours count; not given: that of the
            settings.
        pay_now (bool | Unset): The payer pays the first period by the same act. Only some ways can do that. Not given:
            `false`.
        replaces (None | str | Unset): An agreement of the user's whose place this one takes: it ends when this one is
            signed. Without `pay_now` the first period begins when what is paid under that one is over.
        user (None | str | Unset): Backend keys only: who signs.
    """

    provider_account: str
    way: str
    product: str
    extra: AgreementRequestExtra | Unset = UNSET
    return_url: str | Unset = UNSET
    currency: None | str | Unset = UNSET
    zone: None | str | Unset = UNSET
    pay_now: bool | Unset = UNSET
    replaces: None | str | Unset = UNSET
    user: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        provider_account = self.provider_account

        way = self.way

        product = self.product

        extra: dict[str, Any] | Unset = UNSET
        if not isinstance(self.extra, Unset):
            extra = self.extra.to_dict()

        return_url = self.return_url

        currency: None | str | Unset
        if isinstance(self.currency, Unset):
            currency = UNSET
        else:
            currency = self.currency

        zone: None | str | Unset
        if isinstance(self.zone, Unset):
            zone = UNSET
        else:
            zone = self.zone

        pay_now = self.pay_now

        replaces: None | str | Unset
        if isinstance(self.replaces, Unset):
            replaces = UNSET
        else:
            replaces = self.replaces

        user: None | str | Unset
        if isinstance(self.user, Unset):
            user = UNSET
        else:
            user = self.user

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "provider_account": provider_account,
                "way": way,
                "product": product,
            }
        )
        if extra is not UNSET:
            field_dict["extra"] = extra
        if return_url is not UNSET:
            field_dict["return_url"] = return_url
        if currency is not UNSET:
            field_dict["currency"] = currency
        if zone is not UNSET:
            field_dict["zone"] = zone
        if pay_now is not UNSET:
            field_dict["pay_now"] = pay_now
        if replaces is not UNSET:
            field_dict["replaces"] = replaces
        if user is not UNSET:
            field_dict["user"] = user

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.agreement_request_extra import AgreementRequestExtra

        d = dict(src_dict)
        provider_account = d.pop("provider_account")

        way = d.pop("way")

        product = d.pop("product")

        _extra = d.pop("extra", UNSET)
        extra: AgreementRequestExtra | Unset
        if isinstance(_extra, Unset):
            extra = UNSET
        else:
            extra = AgreementRequestExtra.from_dict(_extra)

        return_url = d.pop("return_url", UNSET)

        def _parse_currency(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        currency = _parse_currency(d.pop("currency", UNSET))

        def _parse_zone(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        zone = _parse_zone(d.pop("zone", UNSET))

        pay_now = d.pop("pay_now", UNSET)

        def _parse_replaces(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        replaces = _parse_replaces(d.pop("replaces", UNSET))

        def _parse_user(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        user = _parse_user(d.pop("user", UNSET))

        agreement_request = cls(
            provider_account=provider_account,
            way=way,
            product=product,
            extra=extra,
            return_url=return_url,
            currency=currency,
            zone=zone,
            pay_now=pay_now,
            replaces=replaces,
            user=user,
        )

        return agreement_request
