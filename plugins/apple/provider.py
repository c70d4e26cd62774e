"""The verbs, for one app at the App Store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import structlog
from pydantic import BaseModel

from app.providers import (
    BillContent,
    BillSide,
    Declined,
    Fact,
    Forged,
    Intent,
    Message,
    Misconfigured,
    NoExtra,
    Page,
    Received,
    Ref,
    Reply,
    Started,
    StorePayout,
    Tools,
)
from plugins.apple.chains import Chains
from plugins.apple.checks import check_names, check_roots
from plugins.apple.fulfilment import Fulfilment
from plugins.apple.hints import hint_in
from plugins.apple.history import FEEDS, History
from plugins.apple.legacy_receipts import LegacyReceipts
from plugins.apple.mapping import Meaning
from plugins.apple.notifications import (
    facts_of_notification,
    questions_of_notification,
    read_notification,
    signed_payload,
)
from plugins.apple.questions import Questions
from plugins.apple.receipts import LegacyReceiptRef, ReceiptReader, SignedTransactionRef
from plugins.apple.reports.connect_api import ConnectApi
from plugins.apple.reports.feeds import SIDES, ReportFeeds
from plugins.apple.reports.payments import read_payments
from plugins.apple.server_api import Credentials, ServerApi
from plugins.apple.settings import (
    AppleSettings,
    Environment,
    accepted_environments,
    check_urls,
    roots,
    server_urls,
    signing_key,
    team_key,
)
from plugins.apple.signed_data import App, Reason, Refused, SignedData
from plugins.apple.transactions import MAX_QUANTITY

# Any 200..206 is success; the rest is sent again 1, 12, 24, 48 and 72 hours later (in the sandbox never). Since about
# 2026-03 a 400 is not repeated, so what may be our own fault (a setting) is refused with 403.
ACCEPTED = Reply(200, "text/plain", b"")
REFUSED = Reply(403, "text/plain", b"refused")
STORED = Reply(200, "application/json", b"{}")


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a provider account is made of, built once."""

    signed_data: SignedData
    receipts: ReceiptReader
    questions: Questions
    history: History
    fulfilment: Fulfilment
    legacy: LegacyReceipts
    reports: ReportFeeds
    settings: AppleSettings
    tools: Tools


class AppleProvider:
    """One app. `start` only tells the client what to buy: the store makes the payment, and names it."""

    currencies: tuple[str, ...] = ()
    bill_feeds: Mapping[str, BillSide] = SIDES

    def __init__(self, parts: _Parts, *, confirm: Literal["before", "after", "no"], grant_free_trials: bool) -> None:
        self._parts = parts
        self._confirm = confirm
        self._grant_free_trials = grant_free_trials
        self.feeds: tuple[str, ...] = FEEDS + parts.reports.feeds
        self.account = parts.signed_data.app.bundle_id
        self.ways: Mapping[str, type[BaseModel]] = {"store": NoExtra}

    def check(self) -> Iterator[str]:
        """For `tillbook check`: whether the trusted roots are Apple's and last, and whether the key's names can be."""
        settings, tools = self._parts.settings, self._parts.tools
        yield from check_roots(settings, self._parts.signed_data.app.environments, tools.live, tools.clock.now())
        yield from check_names(settings)

    def start(self, intent: Intent) -> Started:
        """No call: the purchase exists once the device has made it. The owner's token rides along with it."""
        if not 1 <= intent.quantity <= MAX_QUANTITY:
            raise Declined(f"the store sells 1 to {MAX_QUANTITY} at a time")
        try:
            token = str(uuid.UUID(intent.owner))
        except ValueError:
            raise Declined("the owner token must be a UUID: the store passes on nothing else") from None
        return Started(
            action={
                "type": "store_product",
                "product_id": intent.product,
                "quantity": intent.quantity,
                "app_account_token": token,
            }
        )

    def receive(self, message: Message) -> Received:
        try:
            if message.source == "receipt":
                return self._receipt(message.body)
            return self._notification(message.body)
        except Refused as error:
            hint = hint_in(message, self._parts.signed_data.app) if error.reason is Reason.SIGNATURE else None
            reply = REFUSED if message.source == "notification" else None
            raise Forged(str(error), hint=hint, reply=reply, code=error.reason) from None

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        if isinstance(ref, SignedTransactionRef):
            return self._parts.questions.transaction(ref.environment, ref.transaction)
        if isinstance(ref, LegacyReceiptRef):
            return self._parts.legacy.facts(ref.receipt)
        if ref.theirs is not None and ref.refund is not None:
            return self._parts.questions.refund(ref.theirs, ref.refund)
        if ref.theirs is not None:
            return self._parts.questions.payment(ref.theirs)
        if ref.agreement is not None:
            return self._parts.questions.agreement(ref.agreement)
        return ()  # our own number never reaches the store

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        if feed in self.bill_feeds:
            return self._parts.reports.page(feed, since, until, cursor)
        return self._parts.history.page(feed, since, until, cursor)

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        return self._parts.reports.read(feed, content)

    def read_payout(self, content: bytes) -> Sequence[StorePayout]:
        return read_payments(content)

    def fulfil(self, ref: Ref, report: Mapping[str, Any]) -> None:
        self._parts.fulfilment.send(ref, report)

    def _receipt(self, body: bytes) -> Received:
        proof = self._parts.receipts.read(body)
        is_signed = proof.signed_at is not None
        believed = not is_signed or self._confirm != "before"
        return Received(
            facts=proof.facts if believed else (),
            reply=STORED,
            signed_at=proof.signed_at,
            asks=proof.open_asks if is_signed and self._confirm == "no" else proof.asks,
            bearer_proof=is_signed,
            proof=proof.identity,
            note=proof.note,
        )

    def _notification(self, body: bytes) -> Received:
        notification = read_notification(signed_payload(body), self._parts.signed_data)
        note = ""
        if notification.meaning is Meaning.UNKNOWN:
            note = f"unknown notification type {notification.type} {notification.subtype}".rstrip()
            structlog.get_logger(__name__).warning("unknown_notification", type=notification.type)
        return Received(
            facts=facts_of_notification(notification, grant_free_trials=self._grant_free_trials),
            reply=ACCEPTED,
            message_id=notification.uuid,
            signed_at=notification.signed_at,
            asks=questions_of_notification(notification),
            note=note,
        )


def build(settings: AppleSettings, tools: Tools) -> AppleProvider:
    """Parse every key once. Raises Misconfigured with what to change."""
    if not settings.bundle_id.isascii():
        raise Misconfigured("bundle_id: letters, digits, '-' and '.' only")
    check_urls(settings, tools.live)
    environments = accepted_environments(settings, tools.live)
    app = App(settings.bundle_id, settings.app_apple_id, environments)
    trials = settings.grant_free_trials
    signed_data = SignedData(app, Chains(roots(settings, tools.live)))
    api = _server_api(settings, environments, tools)
    questions = Questions(api, signed_data, grant_free_trials=trials)
    parts = _Parts(
        signed_data=signed_data,
        receipts=ReceiptReader(signed_data, trials, legacy=settings.legacy_receipts == "verify_receipt"),
        questions=questions,
        history=History(api, questions, signed_data, tools.clock, grant_free_trials=trials),
        fulfilment=Fulfilment(api, questions, tools.clock, answer_refund_questions=settings.answer_refund_questions),
        legacy=_legacy(settings, app, questions, tools),
        reports=_reports(settings, tools),
        settings=settings,
        tools=tools,
    )
    return AppleProvider(parts, confirm=settings.confirm, grant_free_trials=trials)


def _server_api(settings: AppleSettings, environments: tuple[Environment, ...], tools: Tools) -> ServerApi:
    urls = server_urls(settings)
    return ServerApi(
        tools.http,
        tools.clock,
        Credentials(settings.issuer_id, settings.key_id, settings.bundle_id, signing_key(settings)),
        {environment: urls[environment] for environment in environments},
        released=settings.released,
    )


def _reports(settings: AppleSettings, tools: Tools) -> ReportFeeds:
    key = team_key(settings)
    api = ConnectApi(tools.http, tools.clock, key, settings.connect_url.rstrip("/")) if key is not None else None
    return ReportFeeds(api, tools.clock, settings.app_sku)


def _legacy(settings: AppleSettings, app: App, questions: Questions, tools: Tools) -> LegacyReceipts:
    urls: Mapping[Environment, str] = {
        "Production": settings.legacy_production_url.rstrip("/"),
        "Sandbox": settings.legacy_sandbox_url.rstrip("/"),
    }
    return LegacyReceipts(tools.http, urls, settings.shared_secret, app, questions)
