"""What is sent about agreements: the fields of a signing, of a deduction, and what names an agreement. Pure.

Sources: the pages of alipay.user.agreement.page.sign, .query and .unsign, of 周期扣款 and of 商家扣款 (2023-06 to
2024-12).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel

from app.domain.money import Money
from app.providers import Declined, Intent, NoExtra, Ref, Terms
from plugins.alipay.formats import CURRENCY, clean_subject
from plugins.alipay.orders import PayerExtra
from plugins.alipay.settings import AgreementSettings

PAGE_SIGN = "alipay.user.agreement.page.sign"
DEDUCTION = "alipay.trade.pay"
PLAN_CHANGE = "alipay.user.agreement.executionplan.modify"
WALLET_LINK = "alipays://platformapi/startapp?appId=60000157&appClearTop=false&startMultApp=YES&sign_params="
"""Opens the wallet at its page for signing; the signed request follows, URL-encoded once more."""

SHORTEST_PERIOD_DAYS = 7
"""A period that is counted in days has at least seven (page of 周期扣款, 2024-12)."""
LAST_PLANNED_DAY = 28
"""No planned date of a monthly agreement lies after this day of the month (page of 周期扣款, 2024-12)."""
DAYS_BEFORE_PLAN = 5
"""A deduction is taken from five days before its planned date until that date (page s01rg2g of 2024-05)."""
MAX_EFFECT_SECONDS = 24 * 60 * 60
"""`effect_time`, the time in which a request to sign can be used, is at most a day."""


@dataclass(frozen=True, slots=True)
class AgreementWay:
    """One way of signing: where the payer signs, and what the client does with our signed request."""

    channel: Literal["ALIPAYAPP", "QRCODE", "QRCODEORSMS"]
    action: Literal["wallet", "redirect", "qr", "sign_center"]
    extra: type[BaseModel]


AGREEMENT_WAYS: Mapping[str, AgreementWay] = {
    "app": AgreementWay("ALIPAYAPP", "wallet", PayerExtra),
    "wap": AgreementWay("ALIPAYAPP", "redirect", NoExtra),
    "page": AgreementWay("QRCODEORSMS", "redirect", NoExtra),
    "qr": AgreementWay("QRCODE", "qr", NoExtra),
    "miniprogram": AgreementWay("ALIPAYAPP", "sign_center", NoExtra),
}
PAYING_WAY = "app"
"""Pay and sign together: `alipay.trade.app.pay` with `agreement_sign_params`."""


def wallet_link(signed_query: str) -> str:
    return WALLET_LINK + quote(signed_query, safe="")


def sign_params(terms: Terms, way: AgreementWay, settings: AgreementSettings) -> dict[str, Any]:
    """What both signing alone and paying with signing say. Raises Declined for terms that Alipay could never take."""
    params: dict[str, Any] = {
        "product_code": settings.product_code,
        "personal_product_code": settings.personal_product_code,
        "sign_scene": settings.sign_scene,
        "external_agreement_no": _our_number(terms.ref),
        "access_params": {"channel": way.channel},
    }
    if settings.has_plan:
        params["period_rule_params"] = _period_rule(terms)
    return params


def page_sign_fields(
    terms: Terms, way: AgreementWay, settings: AgreementSettings, seconds_left: float
) -> dict[str, Any]:
    """`biz_content` of a signing alone. It ends with the terms: a link that was handed out earlier works no longer."""
    return sign_params(terms, way, settings) | {"effect_time": min(int(seconds_left), MAX_EFFECT_SECONDS)}


def charge_fields(ref: Ref, intent: Intent, settings: AgreementSettings) -> dict[str, Any]:
    """`biz_content` of a deduction. No `scene` and no `auth_code`: those are a bar code's."""
    if ref.agreement is None or intent.ref.ours is None:
        raise Declined("a charge needs Alipay's number of the agreement, and a number of its own")
    return {
        "out_trade_no": intent.ref.ours,
        "total_amount": _positive(intent.money).decimal(),
        "subject": clean_subject(intent.subject, fallback=intent.ref.ours),
        "product_code": settings.product_code,
        "agreement_params": {"agreement_no": ref.agreement},
    }


def named_fields(ref: Ref, settings: AgreementSettings | None) -> dict[str, Any]:
    """What names an agreement to the gateway: Alipay's number, or ours together with what it was signed under."""
    if ref.agreement is not None:
        return {"agreement_no": ref.agreement}
    if settings is None:
        raise Declined("the account has no table `agreements`, so an agreement of ours cannot be named")
    return {
        "external_agreement_no": _our_number(ref),
        "personal_product_code": settings.personal_product_code,
        "sign_scene": settings.sign_scene,
    }


def planned_day(day: date) -> date:
    """The planned date that lets a deduction be made on that day: the day itself, or after the 28th the 1st of the next
    month, since the five days before that begin on the 27th at the latest."""
    if day.day <= LAST_PLANNED_DAY:
        return day
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


def _period_rule(terms: Terms) -> dict[str, Any]:
    if terms.unit == "day" and terms.count < SHORTEST_PERIOD_DAYS:
        raise Declined(f"Alipay takes no period of less than {SHORTEST_PERIOD_DAYS} days")
    return {
        "period_type": terms.unit.upper(),
        "period": terms.count,
        "execute_time": (planned_day(terms.first_due) if terms.unit == "month" else terms.first_due).isoformat(),
        "single_amount": _positive(terms.money).decimal(),
    }


def _our_number(ref: Ref) -> str:
    if ref.our_agreement is None:
        raise Declined("the agreement has no number")
    return ref.our_agreement


def _positive(money: Money | None) -> Money:
    if money is None or money.currency != CURRENCY or money.minor == 0:
        raise Declined("only a positive amount in CNY can be charged")
    return money
