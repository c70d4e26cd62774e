"""What happened to an order or an agreement, as an entry of its timeline, and the sentence that says so to a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.report_tables import asset_written


class EntryKind(StrEnum):
    """What kind of thing happened. Entries of one moment are shown in the order of this list."""

    AGREEMENT_MADE = "agreement_made"
    PERIOD = "period"
    ORDER_MADE = "order_made"
    PAYMENT_MADE = "payment_made"
    RECEIPT = "receipt"
    CALL = "call"
    CALL_UNFINISHED = "call_unfinished"
    MESSAGE = "message"
    FACT = "fact"
    TOLD_AGAIN = "told_again"
    TRANSFER = "transfer"
    REFUND_MADE = "refund_made"
    REFUND_DONE = "refund_done"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    INTERVENTION = "intervention"
    EVENT = "event"
    DELIVERY = "delivery"
    MESSAGE_SETTLED = "message_settled"
    ORDER_EXPIRED = "order_expired"
    AGREEMENT_ENDED = "agreement_ended"


RANKS = {kind: rank for rank, kind in enumerate(EntryKind)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One thing that happened. What a kind of entry does not have is None or empty."""

    at: datetime
    """When it was written down here; of a call, when it began."""
    kind: EntryKind
    number: str
    """Of the thing itself: order, payment, fact, call, message, transfer, refund, …; of a period 0, 1, 2 …"""
    payment: int | None = None
    refund: str | None = None
    """Its number: ours, or the provider's where the provider decided it."""
    provider_account: str | None = None
    what: str = ""
    """Which product, way, verb, kind of fact or of transfer, reason of a message, act of a person."""
    road: str | None = None
    outcome: str | None = None
    detail: str = ""
    happened_at: datetime | None = None
    """Of a fact: when it happened, by the provider's clock."""
    ms: int | None = None
    amount: int | None = None
    asset: str | None = None
    actor: str | None = None
    reason: str | None = None

    @property
    def place(self) -> tuple[datetime, int, int, str]:
        """Where the entry stands in the timeline: numbers by their size, as the database orders them."""
        return self.at, RANKS[self.kind], len(self.number), self.number


def sentence(entry: TimelineEntry, say: Callable[[str], str] = str) -> str:
    """The entry in plain words, without its time. `say` translates a text of SENTENCES or PARTS."""
    named = {name: "" if value is None else value for name, value in asdict(entry).items()}
    parts = {"money": _money(entry), "told": f"({entry.detail})" if entry.detail else ""}
    for part, template in _parts_of(entry):
        parts[part] = say(PARTS[template]).format(**named)
    text = say(SENTENCES[entry.kind]).format(**named, **{"about": "", "by": "", **parts})
    return " ".join(text.split())


SENTENCES = {
    EntryKind.AGREEMENT_MADE: "agreement {number} with {provider_account} was made: {what} {money} {told}",
    EntryKind.PERIOD: "period {number} of the agreement was written down: {what}: {outcome} {told}",
    EntryKind.ORDER_MADE: "order {number} was made: {what} {money}",
    EntryKind.PAYMENT_MADE: "payment {number} was made: {provider_account}, {what}",
    EntryKind.RECEIPT: "receipt {number} came in for {provider_account}: {outcome}",
    EntryKind.CALL: "{provider_account} was called: {what} {about}: {outcome} in {ms} ms {told}",
    EntryKind.CALL_UNFINISHED: (
        "{provider_account} was to be asked {about}, and no end of that call is written down: it is under way, or its"
        " process died"
    ),
    EntryKind.MESSAGE: "message {number} of {provider_account} was kept: {what}: {detail}",
    EntryKind.FACT: "{provider_account} told by {road} that it is {what} {money} {about}: {outcome} {told}",
    EntryKind.TOLD_AGAIN: "fact {number} ({what}) was told again by {road} {told}",
    EntryKind.TRANSFER: "booked: {what} {money} {told} {by}",
    EntryKind.REFUND_MADE: "refund {number} {money} of payment {payment} ({what}) {by}",
    EntryKind.REFUND_DONE: "refund {number} {money} of payment {payment} was done",
    EntryKind.FREEZE: "wallets were frozen {about} {by}",
    EntryKind.UNFREEZE: "wallets were unfrozen {by}",
    EntryKind.INTERVENTION: "by hand: {what} {about} {by}",
    EntryKind.EVENT: "the backend is told: {what} {told}",
    EntryKind.DELIVERY: "told {what}: {outcome} in {ms} ms {told}",
    EntryKind.MESSAGE_SETTLED: "message {number} needed nobody any more",
    EntryKind.ORDER_EXPIRED: "the time of order {number} was over",
    EntryKind.AGREEMENT_ENDED: "agreement {number} ended: {outcome} {by}",
}


def _money(entry: TimelineEntry) -> str:
    """Money as `6.00 CNY`, coins as `60 coin`."""
    if entry.amount is None:
        return ""
    asset = entry.asset or ""
    accounts = entry.detail.split(" to ") if entry.kind is EntryKind.TRANSFER else ()
    return asset_written(entry.amount, asset, *accounts)


def _parts_of(entry: TimelineEntry) -> Iterator[tuple[str, str]]:
    """The parts that the sentence has, and which text each is made of."""
    if entry.refund is not None:
        yield "about", "refund"
    elif entry.payment is not None:
        yield "about", "payment"
    if entry.actor:
        yield "by", "actor_and_reason" if entry.reason else "actor"
    elif entry.reason:
        yield "by", "reason"


PARTS = {
    "refund": "about refund {refund}",
    "payment": "about payment {payment}",
    "actor": "by {actor}",
    "reason": ": {reason}",
    "actor_and_reason": "by {actor}: {reason}",
}
"""What a sentence may have in it."""
