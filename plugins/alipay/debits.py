"""Auto-debit: what a merchant with a contract on 周期扣款 or 商家扣款 can do besides taking payments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from app.providers import (
    ChargeWindow,
    Declined,
    Fact,
    Intent,
    Kind,
    Misconfigured,
    Ref,
    Retryable,
    Started,
    Terms,
    Tools,
    Unknown,
)
from plugins.alipay import codes, credentials, mapping
from plugins.alipay.agreements import (
    AGREEMENT_WAYS,
    DAYS_BEFORE_PLAN,
    DEDUCTION,
    PAGE_SIGN,
    PAYING_WAY,
    PLAN_CHANGE,
    SHORTEST_PERIOD_DAYS,
    AgreementWay,
    charge_fields,
    page_sign_fields,
    planned_day,
    sign_params,
    wallet_link,
)
from plugins.alipay.formats import beijing_day, parse_time
from plugins.alipay.orders import WAYS
from plugins.alipay.provider import AlipayProvider
from plugins.alipay.responses import Answer
from plugins.alipay.settings import AlipaySettings

AFTER_DUE = timedelta(days=SHORTEST_PERIOD_DAYS)
"""Attempts make sense this long: of the shortest period, later ones would be the next period's. A date that has passed
is moved (see `charge`)."""
_WAITING = "10003"


class AlipayDebits(AlipayProvider):
    """One app of one merchant, with agreements."""

    agreement_ways: Mapping[str, type[BaseModel]] = MappingProxyType(
        {name: way.extra for name, way in AGREEMENT_WAYS.items()}
    )
    paying_ways: frozenset[str] = frozenset({PAYING_WAY})

    def __init__(self, settings: AlipaySettings, keys: credentials.Credentials, tools: Tools) -> None:
        super().__init__(settings, keys, tools)
        if settings.agreements is None:
            raise Misconfigured("auto-debit needs the table `agreements`")
        self._contract = settings.agreements
        before = timedelta(days=DAYS_BEFORE_PLAN if self._contract.has_plan else 0)
        self.charge_window = ChargeWindow(before=before, after=AFTER_DUE)

    # --- signing --------------------------------------------------------------------------------------------------

    def sign(self, terms: Terms) -> Started:
        """Only signs a request, which the payer's device takes to Alipay: nothing is known there before the payer has
        agreed. Our number of the agreement can be signed once."""
        way = AGREEMENT_WAYS.get(terms.way)
        if way is None:
            raise Declined(f"there is no way {terms.way!r}; there are {', '.join(AGREEMENT_WAYS)}")
        try:
            way.extra.model_validate(dict(terms.extra))
        except ValidationError:
            raise Declined(f"not what the way {terms.way!r} needs") from None
        if terms.first is not None:
            return self._pay_and_sign(terms, terms.first, way)
        left = (terms.expires_at - self._tools.clock.now()).total_seconds()
        if left < 1:
            raise Unknown("the time for signing is over: an earlier link may have been used")
        fields = page_sign_fields(terms, way, self._contract, left)
        return Started(self._action(terms, way, fields))

    def _action(self, terms: Terms, way: AgreementWay, fields: dict[str, Any]) -> dict[str, Any]:
        addresses = {"notify_url": terms.notify_url, "return_url": terms.return_url}
        match way.action:
            case "redirect":
                return {"type": "redirect", "url": self._client.browser_url(PAGE_SIGN, fields, **addresses)}
            case "qr":
                return {"type": "qr", "code": self._client.browser_url(PAGE_SIGN, fields, **addresses)}
        signed = self._client.signed_query(PAGE_SIGN, fields, **addresses)
        if way.action == "sign_center":
            return {"type": "sign_center", "sign_str": signed}
        return {"type": "redirect", "url": wallet_link(signed)}

    def _pay_and_sign(self, terms: Terms, first: Intent, way: AgreementWay) -> Started:
        if terms.way not in self.paying_ways:
            raise Declined(f"the way {terms.way!r} cannot pay and sign together")
        pay = WAYS[PAYING_WAY]
        first = replace(first, extra={**terms.extra, **first.extra})
        fields = self._business_fields(first, pay) | {
            "product_code": self._contract.product_code,
            "agreement_sign_params": sign_params(terms, way, self._contract) | {"sign_notify_url": terms.notify_url},
        }
        order = self._client.signed_query(pay.method, fields, notify_url=first.notify_url)
        return Started({"type": "order_string", "order_string": order})

    # --- charging -------------------------------------------------------------------------------------------------

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        """`alipay.trade.pay` under the agreement.

        A planned date that has passed without a deduction is moved to today, and the deduction asked for again: Alipay
        moves a date by itself after a success only. The first, refused request made no trade.
        """
        fields = charge_fields(ref, intent, self._contract)
        if intent.expires_at <= self._tools.clock.now():
            raise Unknown("the charge's time is over, so it is not asked for any more")
        answer = self._client.call(DEDUCTION, fields, notify_url=intent.notify_url)
        if codes.business_reason(answer) in codes.WRONG_DATE and self._plan_is_moved(ref):
            answer = self._client.call(DEDUCTION, fields, notify_url=intent.notify_url)
        return tuple(_under(ref, fact) for fact in self._charged(answer, intent.ref))

    def _charged(self, answer: Answer, ref: Ref) -> tuple[Fact, ...]:
        if answer.ok or (answer.code == _WAITING and answer.signed):
            return self._accepted(answer, ref)
        error = codes.failure(answer)
        if isinstance(error, Declined) or codes.business_reason(answer) in codes.PAID_BEFORE:
            return self._despite(error, ref)
        raise error

    def _accepted(self, answer: Answer, ref: Ref) -> tuple[Fact, ...]:
        """Paid only if the answer proves it; else the query tells, as far as it can."""
        if answer.text("out_trade_no") != ref.ours:
            raise Unknown("the answer is about another out_trade_no")
        facts = self._read(lambda now: (mapping.charge_fact(answer.content, self._merchant, now),))
        if facts[0].kind is Kind.PAID or answer.code == _WAITING:
            return facts
        return self._query_trade(ref) or facts

    def _despite(self, error: Exception, ref: Ref) -> tuple[Fact, ...]:
        """What the payment's number came to, whatever the refusal says: an earlier attempt may have been paid, and a
        refused deduction may leave a trade behind that its payer can still pay, so that one is closed first."""
        known = self._query_trade(ref)
        if any(fact.kind is Kind.PENDING for fact in known):
            known = self.cancel(ref)
        if all(fact.kind is Kind.CLOSED for fact in known):
            raise error
        return known

    def _plan_is_moved(self, ref: Ref) -> bool:
        """Whether the planned date lay before today and is moved, so that the deduction can be made now."""
        today = beijing_day(self._tools.clock.now())
        try:
            planned = self._planned_date(ref)
            if planned is None or planned >= today:
                return False
            fields = {"agreement_no": ref.agreement, "deduct_time": planned_day(today).isoformat(), "memo": "missed"}
            return self._client.call(PLAN_CHANGE, fields).ok
        except (Declined, Retryable, Unknown):
            return False  # the refusal of the deduction stands; a later attempt finds out how the plan is

    def _planned_date(self, ref: Ref) -> date | None:
        answer = self._client.call("alipay.user.agreement.query", {"agreement_no": ref.agreement})
        text = answer.text("next_deduct_time")
        if not answer.ok or answer.text("agreement_no") != ref.agreement or not text:
            return None
        try:
            return date.fromisoformat(text) if len(text) == len("2026-01-02") else beijing_day(parse_time(text))
        except ValueError:
            return None


def _under(ref: Ref, fact: Fact) -> Fact:
    """The fact, with the agreement that the charge was made under."""
    return replace(fact, ref=replace(fact.ref, agreement=ref.agreement, our_agreement=ref.our_agreement))
