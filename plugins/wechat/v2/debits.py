"""Auto-debit by API v2: contracts are signed, deductions asked for. What WeChat Pay accepted is not paid yet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

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
from plugins.wechat.mapping import ENDED_CONTRACT_CODES, MISSING_CODES, MISSING_CONTRACT_CODES
from plugins.wechat.outcomes import (
    ended_contract,
    not_charged,
    pending_charge,
    readable,
    started_before,
    under,
    was_signed,
)
from plugins.wechat.refusal import Refusal
from plugins.wechat.v2.contracts import (
    CONTRACT_API,
    MINI_PROGRAM,
    OWN_SIGN_TYPE,
    chosen,
    contract_order_fields,
    deduction_fields,
    named_contract,
    queried_contract,
    signed_query,
)
from plugins.wechat.v2.orders import ClientSigner, order_request
from plugins.wechat.v2.provider import V2Provider
from plugins.wechat.values import (
    chargeable,
    nonce_from,
    ordered,
    require_time,
    subject_for_payer,
    usable_notify_url,
)

DEDUCTION_QUERY = "pay/paporderquery"
CARRIED_OUT_AFTER = timedelta(days=1)


class V2Debits(V2Provider):
    """One merchant and appid, with templates for contracts."""

    agreement_ways: Mapping[str, type[BaseModel]] = CONTRACT_WAYS
    paying_ways: frozenset[str] = frozenset(CONTRACT_WAYS)
    charge_window: ChargeWindow = ChargeWindow(before=CARRIED_OUT_AFTER)
    """WeChat Pay carries a deduction out 24 hours after it was asked for (papay FAQ Q2)."""

    # --- signing --------------------------------------------------------------------------------------------------

    def sign(self, terms: Terms) -> Started:
        """Our number of the contract can be signed once, and is the same each time the terms come."""
        extra = checked_extra(terms, self.agreement_ways)
        now = self._clock.now()
        require_signing_time(terms, now)
        chargeable(terms.money)
        fields = {
            "appid": self._merchant.appid,
            "mch_id": self._merchant.mchid,
            "plan_id": plan_of(terms.product, self._plans),
            "contract_code": code_of(terms),
            "request_serial": request_serial(terms),
            "contract_display_account": displayed(terms),
            "notify_url": usable_notify_url(terms),
            "timestamp": str(int(now.timestamp())),
            "version": CONTRACT_API,
            "clientip": extra.get("client_ip", ""),
            "return_app": "Y",
            "sign_type": OWN_SIGN_TYPE,
        }
        if terms.first is not None:
            return self._pay_and_sign(first_payment(terms, terms.first, extra), fields)
        return Started(self._signing(terms.way, fields))

    def _signing(self, way: str, fields: Mapping[str, str]) -> dict[str, Any]:
        asked = chosen(fields, way)
        match way:
            case "jsapi":
                query = signed_query(asked, self._key, OWN_SIGN_TYPE)
                return {"type": "redirect", "url": f"{self._client.API_BASE_URL}papay/entrustweb?{query}"}
            case "h5":
                return {"type": "redirect", "url": self._browser_address(asked)}
            case "app":
                return {"type": "app_agreement", "pre_entrustweb_id": self._prepared(asked)}
        extra_data = {**asked, "sign": self._key.sign(asked, OWN_SIGN_TYPE)}
        return {"type": "miniprogram_agreement", **MINI_PROGRAM, "extraData": extra_data}

    def _browser_address(self, asked: Mapping[str, str]) -> str:
        """Where WeChat Pay wants the payer's browser. Nobody signs that answer: an address is all that is taken of it.
        The request is signed with HMAC-SHA256, the only interface of these that wants that."""
        answer = self._client.page("papay/h5entrustweb", signed_query(asked, self._key, "HMAC-SHA256"))
        url = answer.get("redirect_url", "")
        scheme = urlsplit(self._client.API_BASE_URL).scheme
        if answer.get("result_code", "SUCCESS") != "SUCCESS" or len(url) > MAX_URL or urlsplit(url).scheme != scheme:
            raise Unknown("WeChat Pay gives no address for the signing", code=answer.get("return_code", ""))
        return url

    def _prepared(self, asked: Mapping[str, str]) -> str:
        try:
            answer = self._client.exact("papay/preentrustweb", asked)
        except Refusal as refusal:
            raise refusal.as_error() from None
        return readable(text, answer, "pre_entrustweb_id")

    def _pay_and_sign(self, first: Intent, contract: Mapping[str, str]) -> Started:
        """Where only the contract is refused (signed before, say), the payment can be made all the same."""
        require_time(first, self._clock.now())
        order = order_request(first, OWN_SIGN_TYPE, self._client_ip)
        request = contract_order_fields(order, self._merchant, contract)
        try:
            answer = self._client.exact("pay/contractorder", request)
        except Refusal as refusal:
            return started_before(refusal, first.ref, self.query)
        signer = ClientSigner(self._merchant, self._key, OWN_SIGN_TYPE, contract["timestamp"])
        return Started(action=readable(action_for, first.way, answer, signer, first))

    # --- charging -------------------------------------------------------------------------------------------------

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        """`pappayapply`. One number is deducted once; the word on it comes by notification, or is asked for."""
        if ref.agreement is None:
            raise Declined("a deduction needs WeChat Pay's number of the contract")
        if intent.expires_at <= self._clock.now():
            raise Unknown("the deduction's time is over, so it is not asked for any more")
        number, total = ordered(intent)
        order = {
            "body": subject_for_payer(intent.subject),
            "out_trade_no": number,
            "total_fee": str(total),
            "fee_type": CNY,
            "spbill_create_ip": self._client_ip,
            "notify_url": usable_notify_url(intent),
            "nonce_str": nonce_from(number, intent.notify_url),
        }
        try:
            self._client.exact("pay/pappayapply", deduction_fields(intent, ref, order))
        except Refusal as refusal:
            named = Ref(ours=number, agreement=ref.agreement)
            return tuple(under(ref, fact) for fact in not_charged(refusal, named, self.query))
        return (pending_charge(number, ref, self._merchant, self._clock.now()),)

    def _order(self, ref: Ref) -> dict[str, str] | None:
        """An order, or a deduction: each has a question of its own, and a number alone does not say which it is. Where
        an agreement is named beside the number, a deduction is likelier."""
        if ref.agreement is None:
            return super()._order(ref) or self._deduction(ref)
        return self._deduction(ref) or super()._order(ref)

    def _deduction(self, ref: Ref) -> dict[str, str] | None:
        number = {"out_trade_no": ref.ours} if ref.ours else {"transaction_id": ref.theirs or ""}
        asked = {**number, "nonce_str": nonce_from(*number.values())}
        try:
            fields = self._client.exact(DEDUCTION_QUERY, asked)
        except Refusal as refusal:
            if refusal.code in MISSING_CODES:
                return None
            raise refusal.as_error() from None
        if any(fields.get(name) != value for name, value in number.items()):
            raise Unknown("an answer about another deduction than asked for")
        return fields

    # --- contracts ------------------------------------------------------------------------------------------------

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return self._query_contract(ref) if ref.is_agreement else super().query(ref)

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        return self._end_contract(ref) if ref.is_agreement else super().cancel(ref)

    def _query_contract(self, ref: Ref) -> tuple[Fact, ...]:
        for asked in named_contract(ref, self._plans):
            try:
                fields = self._client.exact("papay/querycontract", {**asked, "version": CONTRACT_API})
            except Refusal as refusal:
                if refusal.code in MISSING_CONTRACT_CODES:
                    continue
                raise refusal.as_error() from None
            if any(fields.get(name) != value for name, value in asked.items()):
                raise Unknown("an answer about another contract than asked for")
            return (readable(queried_contract, fields, self._merchant, self._clock.now()),)
        if was_signed(ref):
            return (ended_contract(ref, self._merchant, self._clock.now(), None),)
        return ()

    def _end_contract(self, ref: Ref) -> tuple[Fact, ...]:
        """`()` where nobody has signed: what was handed out for the signing may still be used."""
        known = self._query_contract(ref)
        if not any(fact.kind is Kind.SIGNED for fact in known):
            return known
        asked = {
            "contract_id": str(known[0].ref.agreement),
            "contract_termination_remark": ENDED_BY_MERCHANT,
            "version": CONTRACT_API,
        }
        ending: Ending | None = Ending.US
        try:
            self._client.exact("papay/deletecontract", asked)
        except Refusal as refusal:
            if refusal.code not in MISSING_CONTRACT_CODES | ENDED_CONTRACT_CODES:
                raise refusal.as_error() from None
            ending = None
        return (ended_contract(known[0].ref, self._merchant, self._clock.now(), ending),)
