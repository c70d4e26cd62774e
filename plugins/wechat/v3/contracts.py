"""Contracts (签约协议) of API v3: what is sent to sign one, and what is read of one. Pure.

Sources: the pages of the scheduled deduction (预约扣费) and of paying with signing (2023-12 to 2025-12).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from app.providers import Fact, Intent, Kind, Ref, Terms
from plugins.wechat.documents import CNY, Unreadable, inner, lenient_text, optional_text, rfc3339, text
from plugins.wechat.mapping import CONTRACT_ENDINGS, CONTRACT_STATES
from plugins.wechat.merchant import Merchant
from plugins.wechat.values import chargeable, ordered, subject_for_payer, usable_notify_url

PRE_SIGNING = "/v3/papay/scheduled-deduct-sign/contracts/pre-entrust-sign"
SIGNING_PATHS: Mapping[str, str] = {
    "app": f"{PRE_SIGNING}/app",
    "jsapi": f"{PRE_SIGNING}/jsapi",
    "h5": f"{PRE_SIGNING}/h5",
    "miniprogram": f"{PRE_SIGNING}/mini-program",
}
PAYING_PATHS: Mapping[str, str] = {
    "app": "/v3/pay/transactions/app-with-contract",
    "jsapi": "/v3/pay/transactions/jsapi-with-contract",
    "miniprogram": "/v3/pay/transactions/jsapi-with-contract",
}
DEDUCTIONS = "/v3/papay/pay/transactions/apply"


def contract_path(plan: str, code: str) -> str:
    return f"/v3/papay/sign/contracts/plan-id/{plan}/out-contract-code/{quote(code, safe='')}"


def schedule_path(contract_id: str) -> str:
    return f"/v3/papay/pay/schedules/contract-id/{quote(contract_id, safe='')}/schedule"


def notice_path(contract_id: str) -> str:
    return f"/v3/papay/contracts/{quote(contract_id, safe='')}/notify"


def pre_signing_request(
    terms: Terms, merchant: Merchant, plan: str, code: str, display: str, openid: str, *, scheduled: bool
) -> dict[str, Any]:
    """The body of a pre-signing; with the first deduction that WeChat Pay is to plan, where the template plans them."""
    request: dict[str, Any] = {
        "appid": merchant.appid,
        "plan_id": int(plan),
        "out_contract_code": code,
        "contract_display_account": display,
        "contract_notify_url": usable_notify_url(terms),
    }
    if openid:
        request["openid"] = openid
    if scheduled:
        request["deduct_schedule"] = {
            "estimated_deduct_date": terms.first_due.isoformat(),
            "estimated_deduct_amount": {"total": chargeable(terms.money), "currency": CNY},
            "description": subject_for_payer(terms.subject),
        }
    return request


def contract_info(terms: Terms, merchant: Merchant, plan: str, code: str, display: str, serial: str) -> dict[str, str]:
    """What makes an order sign a contract, too."""
    return {
        "plan_id": plan,
        "contract_mchid": merchant.mchid,
        "contract_appid": merchant.appid,
        "contract_code": code,
        "request_serial": serial,
        "contract_display_account": display,
        "contract_notify_url": usable_notify_url(terms),
    }


def deduction_request(intent: Intent, contract_id: str, merchant: Merchant) -> dict[str, Any]:
    number, total = ordered(intent)
    return {
        "appid": merchant.appid,
        "out_trade_no": number,
        "description": subject_for_payer(intent.subject),
        "transaction_notify_url": usable_notify_url(intent),
        "contract_id": contract_id,
        "amount": {"total": total, "currency": CNY},
        "attach": intent.owner,
    }


def contract_fact(document: Mapping[str, Any], merchant: Merchant, told_at: datetime) -> Fact:
    """What a contract's document says, in a notification (ENTRUST.SIGN, ENTRUST.TERMINATE) and in an answer. It has no
    attach: our code is all that names it. Raises Unreadable."""
    state = text(document, "contract_state")
    kind = CONTRACT_STATES.get(state, Kind.PENDING)
    theirs = optional_text(document, "contract_id")
    if kind in (Kind.SIGNED, Kind.ENDED) and not theirs:
        raise Unreadable("a contract without contract_id")
    end = inner(document, "contract_terminate_info") if document.get("contract_terminate_info") else {}
    until = optional_text(document, "contract_expired_time")
    return Fact(
        kind=kind,
        ref=Ref(agreement=theirs or None, our_agreement=text(document, "out_contract_code")),
        at=_moment(kind, document, end) or told_at,
        account=merchant.account_of(text(document, "mchid"), optional_text(document, "appid")),
        live=merchant.live,
        period_end=rfc3339(until, "contract_expired_time") if until and kind is Kind.SIGNED else None,
        ending=CONTRACT_ENDINGS.get(lenient_text(end, "contract_termination_mode") or "")
        if kind is Kind.ENDED
        else None,
        cause=state,
        raw=document,
    )


def _moment(kind: Kind, document: Mapping[str, Any], end: Mapping[str, Any]) -> datetime | None:
    name, found = {
        Kind.SIGNED: ("contract_signed_time", document),
        Kind.ENDED: ("contract_terminated_time", end),
    }.get(kind, ("", document))
    value = optional_text(found, name)
    return rfc3339(value, name) if value else None
