from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.payment_request_extra import PaymentRequestExtra


T = TypeVar("T", bound="PaymentRequest")


@_attrs_define
class PaymentRequest:
    """
    Attributes:
        provider_account (str): The provider account, by its name.
        way (str): The way of paying, one of the provider account's.
        extra (PaymentRequestExtra | Unset): What this way needs: `GET /v1/providers` has its JSON Schema.
        return_url (str | Unset): Where the provider sends the payer afterwards.
        user (None | str | Unset): Backend keys only: whose order.
    """

    provider_account: str
    way: str
    extra: PaymentRequestExtra | Unset = UNSET
    return_url: str | Unset = UNSET
    user: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        provider_account = self.provider_account

        way = self.way

        extra: dict[str, Any] | Unset = UNSET
        if not isinstance(self.extra, Unset):
            extra = self.extra.to_dict()

        return_url = self.return_url

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
            }
        )
        if extra is not UNSET:
            field_dict["extra"] = extra
        if return_url is not UNSET:
            field_dict["return_url"] = return_url
        if user is not UNSET:
            field_dict["user"] = user

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.payment_request_extra import PaymentRequestExtra

        d = dict(src_dict)
        provider_account = d.pop("provider_account")

        way = d.pop("way")

        _extra = d.pop("extra", UNSET)
        extra: PaymentRequestExtra | Unset
        if isinstance(_extra, Unset):
            extra = UNSET
        else:
            extra = PaymentRequestExtra.from_dict(_extra)

        return_url = d.pop("return_url", UNSET)

        def _parse_user(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        user = _parse_user(d.pop("user", UNSET))

        payment_request = cls(
            provider_account=provider_account,
            way=way,
            extra=extra,
            return_url=return_url,
            user=user,
        )

        return payment_request
