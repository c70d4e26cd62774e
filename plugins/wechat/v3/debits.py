"""Auto-debit by API v3: contracts, deductions that are announced to their payers, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from pydantic import BaseModel

from app.domain.money import Money
from app.providers import ChargeWindow, Declined, Ending, Fact, Intent, Kind, Ref, Started, Terms, Unknown
from plugins.wechat.actions import MAX_URL, action_for
from plugins.wechat.agreements import (
    CONTRACT_WAYS,
    ENDED_BY_MERCHANT,
    checked_extra,
    code_of,
    displayed,
    first_payment,
    plan_of,
    request_serial,
    require_signing_time,
)
from plugins.wechat.documents import CNY, text
from plugins.wechat.mapping import ENDED_CONTRACT_CODES, MISSING_CONTRACT_CODES
from plugins.wechat.outcomes import (
    charge_error,
    ended_contract,
    not_charged,
    pending_charge,
    readable,
    started_before,
    under,
    was_signed,
)
from plugins.wechat.refusal import Refusal
from plugins.wechat.v3.contracts import (
    DEDUCTIONS,
    PAYING_PATHS,
    SIGNING_PATHS,
    contract_fact,
    contract_info,
    contract_path,
    deduction_request,
    notice_path,
    pre_signing_request,
    schedule_path,
)
from plugins.wechat.v3.orders import ClientSigner, order_request
from plugins.wechat.v3.provider import V3Provider
from plugins.wechat.values import chargeable, require_time

NOTICE = timedelta(days=2)
"""What is to be deducted on the 3rd is announced on the 1st: the payer has the 2nd to object (page of 2023-10)."""
DEDUCTION_DAYS = 3
"""So many days after its announcement a deduction can be made; three is the most that there is."""


class V3Debits(V3Provider):
    """One merchant and appid, with templates for contracts."""

    agreement_ways: Mapping[str, type[BaseModel]] = CONTRACT_WAYS
    paying_ways: frozenset[str] = frozenset(PAYING_PATHS)
    charge_window: ChargeWindow = ChargeWindow(after=timedelta(days=DEDUCTION_DAYS), notice=NOTICE)

    # --- signing --------------------------------------------------------------------------------------------------

    def sign(self, terms: Terms) -> Started:
        """Our number of the contract can be signed once, and is the same each time the terms come."""
        extra = checked_extra(terms, self.agreement_ways)
        require_signing_time(terms, self._clock.now())
        chargeable(terms.money)
        plan, code, display = plan_of(terms.product, self._settings.plan_ids), code_of(terms), displayed(terms)
        if terms.first is not None:
            contract = contract_info(terms, self._merchant, plan, code, display, request_serial(terms))
            return self._pay_and_sign(first_payment(terms, terms.first, extra), contract)
        request = pre_signing_request(
            terms, self._merchant, plan, code, display, extra.get("openid", ""), scheduled=self._is_scheduled
        )
        try:
            answer = self._client.post(SIGNING_PATHS[terms.way], request)
        except Refusal as refusal:
            raise refusal.as_error() from None
        return Started(readable(_signing, terms.way, answer))

    @property
    def _is_scheduled(self) -> bool:
        return self._settings.deduction == "scheduled"

    def _pay_and_sign(self, first: Intent, contract: Mapping[str, str]) -> Started:
        if first.way not in self.paying_ways:
            raise Declined(f"the way {first.way!r} cannot pay and sign together")
        require_time(first, self._clock.now())
        request = order_request(first, self._merchant) | {"contract_info": contract}
        try:
            answer = self._client.post(PAYING_PATHS[first.way], request)
        except Refusal as refusal:
            return started_before(refusal, first.ref, self.query)
        signer = ClientSigner(self._merchant, self._credentials, str(int(self._clock.now().timestamp())))
        return Started(action=readable(action_for, first.way, answer, signer, first))

    # --- charging -------------------------------------------------------------------------------------------------

    def announce(self, ref: Ref, money: Money, due: date) -> None:
        """The template decides how: a scheduled deduction (预约扣费), of which WeChat Pay tells the payer, or a notice
        before a deduction (预扣费通知). Both say by themselves when the deduction can be made."""
        if ref.agreement is None:
            raise Declined("a deduction needs WeChat Pay's number of the contract")
        fen = chargeable(money)
        if self._is_scheduled:
            path = schedule_path(ref.agreement)
            request: dict[str, Any] = {"schedule_amount": {"total": fen, "currency": CNY}}
        else:
            path = notice_path(ref.agreement)
            request = {
                "mchid": self._merchant.mchid,
                "estimated_amount": {"amount": fen, "currency": CNY},
                "deduct_duration": {"count": DEDUCTION_DAYS, "unit": "DAY"},
            }
        try:
            self._client.post(path, {"appid": self._merchant.appid, **request})
        except Refusal as refusal:
            raise charge_error(refusal) from None

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        """One number is deducted once; the word on it comes by notification, or is asked for."""
        if ref.agreement is None:
            raise Declined("a deduction needs WeChat Pay's number of the contract")
        if intent.expires_at <= self._clock.now():
            raise Unknown("the deduction's time is over, so it is not asked for any more")
        request = deduction_request(intent, ref.agreement, self._merchant)
        try:
            answer = self._client.post(DEDUCTIONS, request)
        except Refusal as refusal:
            return tuple(under(ref, fact) for fact in not_charged(refusal, Ref(ours=intent.ref.ours), self.query))
        if answer.get("out_trade_no") != intent.ref.ours:
            raise Unknown("an answer about another deduction than asked for")
        return (pending_charge(intent.ref.ours, ref, self._merchant, self._clock.now()),)

    # --- contracts ------------------------------------------------------------------------------------------------

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return self._query_contract(ref) if ref.is_agreement else super().query(ref)

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        return self._end_contract(ref) if ref.is_agreement else super().cancel(ref)

    def _query_contract(self, ref: Ref) -> tuple[Fact, ...]:
        found = self._contract(ref)
        if found is not None:
            return (found[1],)
        if was_signed(ref):
            return (ended_contract(ref, self._merchant, self._clock.now(), None),)
        return ()

    def _contract(self, ref: Ref) -> tuple[str, Fact] | None:
        """The template under which the contract was signed, and how it stands."""
        if ref.our_agreement is None:
            raise Declined("WeChat Pay is asked about contracts by our number")
        for plan in self._settings.plan_ids:
            document = self._get(contract_path(plan, ref.our_agreement), MISSING_CONTRACT_CODES)
            if document is not None:
                fact = readable(contract_fact, document, self._merchant, self._clock.now())
                if fact.ref.our_agreement != ref.our_agreement or ref.agreement not in (None, fact.ref.agreement):
                    raise Unknown("an answer about another contract than asked for")
                return plan, fact
        return None

    def _end_contract(self, ref: Ref) -> tuple[Fact, ...]:
        """`()` where nobody has signed: what was handed out for the signing may still be used."""
        found = self._contract(ref)
        if found is None or found[1].kind is not Kind.SIGNED:
            return self._query_contract(ref) if found is None else (found[1],)
        plan, known = found
        path = f"{contract_path(plan, str(ref.our_agreement))}/terminate"
        try:
            document = self._client.post(path, {"contract_termination_remark": ENDED_BY_MERCHANT})
        except Refusal as refusal:
            if refusal.code not in MISSING_CONTRACT_CODES | ENDED_CONTRACT_CODES:
                raise refusal.as_error() from None
            return (ended_contract(known.ref, self._merchant, self._clock.now(), None),)
        fact = readable(contract_fact, document, self._merchant, self._clock.now())
        if fact.ref != known.ref:
            raise Unknown("an answer about another contract than asked for")
        return (replace(fact, ending=fact.ending or Ending.US) if fact.kind is Kind.ENDED else fact,)


def _signing(way: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    if way in ("jsapi", "h5"):
        return {"type": "redirect", "url": text(answer, "redirect_url", MAX_URL)}
    session = text(answer, "pre_entrustweb_id")
    if way == "app":
        return {"type": "app_agreement", "pre_entrustweb_id": session}
    return {
        "type": "miniprogram_agreement",
        "appId": text(answer, "redirect_appid"),
        "path": text(answer, "redirect_path", MAX_URL),
        "extraData": {"pre_entrustweb_id": session},
    }
