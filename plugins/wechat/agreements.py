"""What auto-debit (委托代扣) is in both generations: the ways of signing, the template of a contract, and the texts in
it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from pydantic import BaseModel, Field, ValidationError

from app.providers import Declined, Intent, Misconfigured, Terms, Unknown
from plugins.wechat.values import subject_for_payer
from plugins.wechat.ways import MobileBrowser, PayerAddress

DISPLAY_BYTES = 32
ENDED_BY_MERCHANT = "ended by the merchant"
"""The remark with which we end a contract."""
_BEYOND = re.compile(r"[^\u0000-\uffff]")
"""Emoji and other letters beyond the basic plane, which a contract's texts may not have."""
LONGEST_CODE = 32
"""Letters and digits of our number of a contract (page of contractorder, 2025-09)."""
_CODE = re.compile(rf"[0-9A-Za-z]{{1,{LONGEST_CODE}}}", re.ASCII)


class SigningInside(PayerAddress):
    """Signing inside WeChat. The openid is needed only for paying with it."""

    openid: str = Field(default="", pattern=r"^[0-9A-Za-z_\-]{0,128}$")


CONTRACT_WAYS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {"jsapi": SigningInside, "miniprogram": SigningInside, "app": PayerAddress, "h5": MobileBrowser}
)
"""How a payer signs: in an official account's page, in a mini-program, in an app, in a browser of a phone."""


def checked_extra(terms: Terms, ways: Mapping[str, type[BaseModel]]) -> dict[str, str]:
    """What the way needs, as given. Raises Declined."""
    model = ways.get(terms.way)
    if model is None:
        raise Declined(f"there is no way {terms.way!r} of signing; there are {', '.join(ways)}")
    try:
        extra = model.model_validate(dict(terms.extra)).model_dump(exclude_defaults=True)
    except ValidationError:
        raise Declined(f"not what the way {terms.way!r} of signing needs") from None
    return {name: str(value) for name, value in extra.items()}


def plan_of(product: str, plans: tuple[str, ...]) -> str:
    """The template of a product: the one that is configured as the product's id, or the only one that there is."""
    if product in plans:
        return product
    if len(plans) == 1:
        return plans[0]
    raise Misconfigured(f"the product {product!r} names none of the templates in plan_ids")


def code_of(terms: Terms) -> str:
    """Our number of the contract. It can never be used for another one."""
    code = terms.ref.our_agreement
    if code is None or not _CODE.fullmatch(code):
        raise Declined("a contract needs a number of letters and digits")
    return code


def displayed(terms: Terms) -> str:
    """What the payer reads as the account that the contract is for."""
    return subject_for_payer(_BEYOND.sub("", terms.subject), DISPLAY_BYTES)


def request_serial(terms: Terms) -> str:
    """The merchant's own sequence of signings: the second of the agreement's making, alike each time."""
    return str(int(terms.created_at.timestamp()))


def require_signing_time(terms: Terms, now: datetime) -> None:
    if terms.expires_at <= now:
        raise Unknown("the time for signing is over: an earlier attempt may have been signed")


def first_payment(terms: Terms, first: Intent, extra: Mapping[str, str]) -> Intent:
    """The payment that goes with the signing, with what its way needs."""
    if first.way != terms.way:
        raise Declined("paying and signing together is one way")
    return replace(first, extra={**extra, **first.extra})
