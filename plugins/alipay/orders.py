"""The business fields of a payment, for each way of paying. Only documented fields: others may draw a refusal."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from app.providers import Declined, Intent, NoExtra
from plugins.alipay.formats import CURRENCY, beijing_text, clean_subject
from plugins.alipay.settings import AlipaySettings


class PayerExtra(NoExtra):
    client_ip: str | None = None
    """The payer's public address. Some merchants are refused without it (ACQ.RISK_MERCHANT_IP_NOT_EXIST)."""

    @field_validator("client_ip")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        return value if value is None else str(ipaddress.ip_address(value))


class WapExtra(PayerExtra):
    quit_url: str | None = Field(None, max_length=400, pattern=r"^https?://")
    """Where a payer goes who gives up."""


class PageExtra(PayerExtra):
    qr_pay_mode: Literal["0", "1", "2", "3", "4"] | None = None
    """How the cashier shows its QR code: 0, 1, 3, 4 inside a page of yours, 2 on Alipay's own."""
    qrcode_width: int | None = Field(None, strict=True, ge=1, le=2000)


class JsapiExtra(PayerExtra):
    """Who pays, as the mini program was told: exactly one of `buyer_id` (2088…) and `buyer_open_id`."""

    buyer_id: str | None = Field(None, pattern=r"^2088[0-9]{12}$")
    buyer_open_id: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,128}$")
    op_app_id: str | None = Field(None, pattern=r"^[0-9]{1,32}$")
    """The mini program, needed for its orders."""
    op_buyer_open_id: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,128}$")

    @model_validator(mode="after")
    def _one_payer(self) -> Self:
        if (self.buyer_id is None) == (self.buyer_open_id is None):
            raise ValueError("give exactly one of buyer_id and buyer_open_id")
        return self


@dataclass(frozen=True, slots=True)
class Way:
    """One way of paying: which call makes it, under which product, and who acts on the result."""

    method: str
    product_code: str
    action: Literal["order_string", "redirect", "qr", "jsapi"]
    extra: type[BaseModel]

    @property
    def is_call(self) -> bool:
        """Whether our server calls the gateway; otherwise it only signs, and the payer's device does the rest."""
        return self.action in ("qr", "jsapi")


WAYS: Mapping[str, Way] = {
    "app": Way("alipay.trade.app.pay", "QUICK_MSECURITY_PAY", "order_string", PayerExtra),
    # QUICK_WAP_WAY is what the page documents; python-alipay-sdk's helper sends QUICK_WAP_PAY.
    "wap": Way("alipay.trade.wap.pay", "QUICK_WAP_WAY", "redirect", WapExtra),
    "page": Way("alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY", "redirect", PageExtra),
    "precreate": Way("alipay.trade.precreate", "QR_CODE_OFFLINE", "qr", PayerExtra),
    "jsapi": Way("alipay.trade.create", "JSAPI_PAY", "jsapi", JsapiExtra),
}


def business_fields(intent: Intent, way: Way, settings: AlipaySettings) -> dict[str, Any]:
    """`biz_content` of the payment. Raises Declined for an intent that Alipay could never take."""
    if intent.money is None or intent.money.currency != CURRENCY or intent.money.minor == 0:
        raise Declined("only a positive amount in CNY can be charged")
    if intent.ref.ours is None:
        raise Declined("the payment has no number")
    fields = {
        "out_trade_no": intent.ref.ours,
        "total_amount": intent.money.decimal(),
        "subject": clean_subject(intent.subject, fallback=intent.ref.ours),
        "product_code": _product_code(way, settings),
        # Absolute, since a signed order stays payable until then and cannot be closed before the payer opens it.
        "time_expire": beijing_text(intent.expires_at),
    }
    if not way.is_call and settings.goods_type:
        fields["goods_type"] = settings.goods_type
    return fields | _extra_fields(way.extra.model_validate(dict(intent.extra)))


def _product_code(way: Way, settings: AlipaySettings) -> str:
    return settings.precreate_product_code if way.action == "qr" else way.product_code


def _extra_fields(extra: BaseModel) -> dict[str, Any]:
    """The extras as business fields; numbers as texts, absent ones left out."""
    given = {name: str(value) for name, value in extra.model_dump(exclude_none=True).items()}
    client_ip = given.pop("client_ip", None)
    nested: dict[str, Any] = {"business_params": {"mc_create_trade_ip": client_ip}} if client_ip else {}
    return given | nested
