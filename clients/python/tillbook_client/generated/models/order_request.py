from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.order_request_extra import OrderRequestExtra


T = TypeVar("T", bound="OrderRequest")


@_attrs_define
class OrderRequest:
    """
    Attributes:
        provider_account (str): The provider account, by its name.
        way (str): The way of paying, one of the provider account's.
        product (str): The product, by its `sku`.
        extra (OrderRequestExtra | Unset): What this way needs: `GET /v1/providers` has its JSON Schema.
        return_url (str | Unset): Where the provider sends the payer afterwards.
        quantity (int | Unset): How many of the product. Not given: `1`.
        currency (None | str | Unset): The currency to pay in; not given: one that product and provider account share.
        user (None | str | Unset): Backend keys only: who buys.
    """

    provider_account: str
    way: str
    product: str
    extra: OrderRequestExtra | Unset = UNSET
    return_url: str | Unset = UNSET
    quantity: int | Unset = UNSET
    currency: None | str | Unset = UNSET
    user: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        provider_account = self.provider_account

        way = self.way

        product = self.product

        extra: dict[str, Any] | Unset = UNSET
        if not isinstance(self.extra, Unset):
            extra = self.extra.to_dict()

        return_url = self.return_url

        quantity = self.quantity

        currency: None | str | Unset
        if isinstance(self.currency, Unset):
            currency = UNSET
        else:
            currency = self.currency

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
        if quantity is not UNSET:
            field_dict["quantity"] = quantity
        if currency is not UNSET:
            field_dict["currency"] = currency
        if user is not UNSET:
            field_dict["user"] = user

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.order_request_extra import OrderRequestExtra

        d = dict(src_dict)
        provider_account = d.pop("provider_account")

        way = d.pop("way")

        product = d.pop("product")

        _extra = d.pop("extra", UNSET)
        extra: OrderRequestExtra | Unset
        if isinstance(_extra, Unset):
            extra = UNSET
        else:
            extra = OrderRequestExtra.from_dict(_extra)

        return_url = d.pop("return_url", UNSET)

        quantity = d.pop("quantity", UNSET)

        def _parse_currency(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        currency = _parse_currency(d.pop("currency", UNSET))

        def _parse_user(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        user = _parse_user(d.pop("user", UNSET))

        order_request = cls(
            provider_account=provider_account,
            way=way,
            product=product,
            extra=extra,
            return_url=return_url,
            quantity=quantity,
            currency=currency,
            user=user,
        )

        return order_request
