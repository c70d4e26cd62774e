"""The verbs about agreements, spoken in the sandbox's protocol: the whole provider that the plugin builds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from app.domain.money import Money
from app.providers import (
    ChargeWindow,
    Declined,
    Fact,
    Intent,
    Misconfigured,
    NoExtra,
    Provider,
    Ref,
    Started,
    Terms,
    Tools,
    Unknown,
)
from plugins.sandbox.deliveries import DeliveringSandbox
from plugins.sandbox.mapping import facts_of, written
from plugins.sandbox.provider import answered, payment_document
from plugins.sandbox.settings import SandboxSettings


class AgreeingSandbox(DeliveringSandbox):
    """A merchant account that may also charge under agreements."""

    agreement_ways: Mapping[str, type[BaseModel]] = {"page": NoExtra, "qr": NoExtra}
    paying_ways = frozenset({"page"})

    def __init__(self, settings: SandboxSettings, tools: Tools) -> None:
        super().__init__(settings, tools)
        self.charge_window = ChargeWindow(
            before=timedelta(days=settings.charge_days_before),
            after=timedelta(days=settings.charge_days_after),
            notice=timedelta(days=settings.notice_days),
        )

    def sign(self, terms: Terms) -> Started:
        """The payer signs on a page; where `terms.first` is there, the payment is made by the same press."""
        answer = self._client.call("POST", "/v1/agreements", _terms_document(terms)).document_or_raise()
        url = answer.get("sign_url")
        if not isinstance(url, str):
            raise Unknown("the sandbox did not say where to sign")
        action = {"type": "qr", "code": url} if terms.way == "qr" else {"type": "redirect", "url": url}
        return Started(action=action, facts=answered(facts_of, answer))

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        """Charged twice under one number it is charged once: the provider shows the first charge again."""
        answer = self._client.call("POST", f"{_agreement_path(ref)}/charges", payment_document(intent))
        return answered(facts_of, answer.document_or_raise())

    def announce(self, ref: Ref, money: Money, due: date) -> None:
        document = {"amount": money.minor, "currency": money.currency, "due": due.isoformat()}
        self._client.call("POST", f"{_agreement_path(ref)}/announcements", document).document_or_raise()

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return self._ask("GET", _agreement_path(ref)) if ref.is_agreement else super().query(ref)

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        """An agreement that is only being signed is given up: nobody can sign it any more."""
        return self._ask("POST", f"{_agreement_path(ref)}/end") if ref.is_agreement else super().cancel(ref)


def build(settings: SandboxSettings, tools: Tools) -> Provider:
    """The provider of one configured account. Raises Misconfigured for a live one: no money moves here."""
    if tools.live:
        raise Misconfigured("the sandbox moves no money: set live = false for this account")
    return AgreeingSandbox(settings, tools)


def _terms_document(terms: Terms) -> dict[str, Any]:
    return {
        "number": terms.ref.our_agreement,
        "amount": terms.money.minor,
        "currency": terms.money.currency,
        "subject": terms.subject,
        "plan": terms.product,
        "unit": terms.unit,
        "count": terms.count,
        "first_due": terms.first_due.isoformat(),
        "owner": terms.owner,
        "way": terms.way,
        "expires_at": written(terms.expires_at),
        "notify_url": terms.notify_url,
        "return_url": terms.return_url,
        "payment": None if terms.first is None else payment_document(terms.first),
    }


def _agreement_path(ref: Ref) -> str:
    """Where the provider keeps that agreement; its own number goes before ours."""
    if ref.agreement:
        return f"/v1/agreements/id/{quote(ref.agreement, safe='')}"
    if ref.our_agreement:
        return f"/v1/agreements/{quote(ref.our_agreement, safe='')}"
    raise Declined("no agreement is named: neither our number nor the provider's")
