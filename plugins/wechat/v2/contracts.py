"""Contracts (签约协议) of API v2: what is sent to sign one, as tables, and what is read of one. Pure.

Sources: the pages of entrustweb, h5entrustweb, preentrustweb, contractorder, querycontract and the callback (2024-11,
contractorder 2025-09). A parameter too many is refused like one too few, so each list is complete.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from app.providers import Fact, Intent, Kind, Ref
from plugins.wechat.documents import Unreadable, contract_time, optional_text, text
from plugins.wechat.mapping import CONTRACT_CHANGES, CONTRACT_ENDINGS, CONTRACT_STATES
from plugins.wechat.merchant import Merchant
from plugins.wechat.v2.reading import for_the_books
from plugins.wechat.v2.signing import SignType, V2Key

CONTRACT_FIELDS = ("change_type", "contract_id", "contract_code")
"""What makes a notification one of a contract: v2's messages carry no type."""
CONTRACT_API = "1.0"
OWN_SIGN_TYPE: SignType = "MD5"
MINI_PROGRAM = {"appId": "wxbd687630cd02ce1d", "path": "pages/index/index"}
"""WeChat Pay's own mini-program for signing, which ours navigates to."""

COMMON = ("plan_id", "contract_code", "request_serial", "contract_display_account", "notify_url", "timestamp")
ASKED: Mapping[str, tuple[str, ...]] = {
    "jsapi": ("appid", "mch_id", *COMMON, "version"),
    "h5": ("appid", "mch_id", *COMMON, "version", "clientip"),
    "miniprogram": ("appid", "mch_id", *COMMON),
    "app": (*COMMON, "version", "return_app", "sign_type"),
}
"""What each way of signing sends; `sign` comes to it."""


def chosen(fields: Mapping[str, str], way: str) -> dict[str, str]:
    return {name: fields[name] for name in ASKED[way]}


def signed_query(fields: Mapping[str, str], key: V2Key, sign_type: SignType) -> str:
    """The query of a page. The signature is over the values as they are, and each is URL-encoded once after that."""
    signed = {**fields, "sign": key.sign(fields, sign_type)}
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(signed.items()))


def contract_order_fields(order: Mapping[str, Any], merchant: Merchant, contract: Mapping[str, str]) -> dict[str, str]:
    """A payment that signs a contract by the same act of the payer: the order's fields, and the contract's beside."""
    fields = {name: value for name, value in order.items() if name not in _RENAMED and isinstance(value, str)}
    fields |= {_RENAMED[name]: value for name, value in order.items() if name in _RENAMED and isinstance(value, str)}
    for name in ("time_start", "time_expire"):
        fields[name] = f"{order[name]:%Y%m%d%H%M%S}"
    if "scene_info" in order:
        fields["scene_info"] = json.dumps(order["scene_info"], ensure_ascii=False)
    del fields["sign_type"]
    return fields | {
        "contract_mchid": merchant.mchid,
        "contract_appid": merchant.appid,
        "plan_id": contract["plan_id"],
        "contract_code": contract["contract_code"],
        "request_serial": contract["request_serial"],
        "contract_display_account": contract["contract_display_account"],
        "contract_notify_url": contract["notify_url"],
    }


_RENAMED = {"client_ip": "spbill_create_ip", "user_id": "openid"}
"""wechatpy's names for what the API calls otherwise."""


def deduction_fields(intent: Intent, ref: Ref, order: Mapping[str, str]) -> dict[str, str]:
    """`pappayapply`."""
    return {**order, "trade_type": "PAP", "contract_id": str(ref.agreement), "attach": intent.owner}


def named_contract(ref: Ref, plans: Iterable[str]) -> list[dict[str, str]]:
    """The questions that find a contract: by WeChat Pay's number, or by ours under each of our templates."""
    if ref.agreement is not None:
        return [{"contract_id": ref.agreement}]
    return [{"plan_id": plan, "contract_code": str(ref.our_agreement)} for plan in plans]


# --- reading ----------------------------------------------------------------------------------------------------------


def notified_contract(fields: Mapping[str, str], merchant: Merchant) -> Fact:
    """The notification of a contract that was signed or ended. It has no attach: our code is all that names it, and
    the merchant number may be all that says whose it is. Raises Unreadable."""
    is_done = fields.get("result_code") in (None, "", "SUCCESS")
    kind = CONTRACT_CHANGES.get(fields["change_type"], Kind.PENDING) if is_done else Kind.PENDING
    at = contract_time(text(fields, "operate_time"), "operate_time")
    return _contract(fields, kind, at, merchant, cause=fields["change_type"])


def queried_contract(fields: Mapping[str, str], merchant: Merchant, told_at: datetime) -> Fact:
    """A verified answer of `querycontract`. State 1 is a contract that has ended, or was never signed. Raises
    Unreadable."""
    state = text(fields, "contract_state")
    kind = CONTRACT_STATES.get(state, Kind.PENDING)
    ended = optional_text(fields, "contract_terminated_time")
    if kind is Kind.PENDING and (ended or fields.get("contract_termination_mode", "0") not in ("", "0")):
        kind = Kind.ENDED
    at = told_at
    if kind is Kind.SIGNED:
        at = contract_time(text(fields, "contract_signed_time"), "contract_signed_time")
    elif kind is Kind.ENDED and ended:
        at = contract_time(ended, "contract_terminated_time")
    return _contract(fields, kind, at, merchant, cause=state)


def _contract(fields: Mapping[str, str], kind: Kind, at: datetime, merchant: Merchant, cause: str) -> Fact:
    theirs = optional_text(fields, "contract_id")
    if kind is not Kind.PENDING and not theirs:
        raise Unreadable("a contract without contract_id")
    until = optional_text(fields, "contract_expired_time")
    return Fact(
        kind=kind,
        ref=Ref(agreement=theirs or None, our_agreement=text(fields, "contract_code")),
        at=at,
        account=merchant.account_of(text(fields, "mch_id"), optional_text(fields, "appid")),
        live=merchant.live,
        period_end=contract_time(until, "contract_expired_time") if until and kind is Kind.SIGNED else None,
        ending=CONTRACT_ENDINGS.get(fields.get("contract_termination_mode", "")) if kind is Kind.ENDED else None,
        cause=cause,
        raw=for_the_books(fields),
    )
