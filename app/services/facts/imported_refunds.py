"""Refunds of what an earlier system sold: of a period that ended by `paid_until` of an imported agreement.

The sale is in no book here, so the refund books nothing by itself, and is parked for a person. What the period made
active ends at once, as with a refund of a period of ours. A person books the money by a journal entry (from the opening
balance), and so ends the fact. As with clawbacks, what is booked is a computed target: the gross of the purchase that
is gone by all that was told, less what such entries have booked before. So a repeat, a second refund of the purchase,
and one that was undone need no rules of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from typing import Any, Literal

from sqlalchemy import select

from app.domain.deciding import Decision
from app.domain.event_types import EventType
from app.domain.facts import Fact, Kind, Ref, key_of, price_of
from app.domain.journal import EntryStatus, JournalEntry, JournalLine
from app.domain.matching import Mismatch
from app.domain.money import Money
from app.domain.numbers import slot_of_number
from app.domain.opening import OPENING
from app.domain.refunding import SHARE_PARTS, RefundFact, of_amount, refunded, tells_a_size
from app.domain.report_tables import Amount
from app.domain.status import Outcome
from app.models.agreements import PERIODS
from app.models.base import AnyRow
from app.models.orders import FactRow
from app.services.agreements import agreement_events, agreement_rows
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError, NotFound
from app.services.finance import journal
from app.services.finance.journal import EntryRequest
from app.services.payments import fact_rows, interventions
from app.services.refunds import refund_rows
from app.services.refunds.captured_payments import refund_fact

_f, _P = FactRow.__table__.c, PERIODS.c


class FactNotEnded(DomainError):
    """A person cannot end that fact, or not so. The detail says why."""

    code = "fact_not_ended"
    remembered = False


@dataclass(frozen=True, slots=True)
class RefundOfImport:
    """A parked refund, with the purchase that it is about, and how its money stands."""

    row: AnyRow
    agreement: AnyRow | None
    """None where the agreement went over to another user."""
    part: Fraction
    """What of the purchase is refunded by all that was told."""
    price: Money | None
    """The gross price, by the store or by the person who ends it."""
    booked_minor: int = 0
    """What entries have booked before."""
    newest: AnyRow | None = None
    """The newest entry about the purchase."""
    entries: int = 0
    """How many entries about it there are."""

    @property
    def is_ended(self) -> bool:
        return bool(self.row.outcome == Outcome.NOTED)

    @property
    def waiting(self) -> AnyRow | None:
        """The entry that waits for a second person."""
        is_waiting = self.newest is not None and self.newest.status == EntryStatus.PROPOSED
        return self.newest if is_waiting else None

    @property
    def state(self) -> Literal["open", "proposed", "ended"]:
        return "ended" if self.is_ended else "open" if self.waiting is None else "proposed"

    @property
    def refunded_minor(self) -> int | None:
        """What of the gross is gone; None: the price is not known."""
        return None if self.price is None else of_amount(self.part, self.price.minor)

    @property
    def rest_minor(self) -> int:
        """What is still to be booked; below zero: it came back."""
        return 0 if self.refunded_minor is None else self.refunded_minor - self.booked_minor

    def entry(self, reason: str) -> JournalEntry | None:
        """The entry that ends it; None: nothing is to be booked."""
        if self.price is None or self.rest_minor == 0:
            return None
        clearing, minor = f"clearing:{self.row.provider_account}", abs(self.rest_minor)
        debit, credit = (OPENING, clearing) if self.rest_minor > 0 else (clearing, OPENING)
        return JournalEntry(
            f"refund of {self.row.content['theirs']}",
            reason,
            self.price.currency,
            [JournalLine(debit, debit=minor), JournalLine(credit, credit=minor)],
            effective_at=self.row.at,
            environment=self.row.environment,
        )


def sentence_of(found: RefundOfImport) -> str:
    """How it stands, and what would be done to end it, for people."""
    row, whose = found.row, found.agreement
    user = "" if whose is None else f" of user {whose.user_id}"
    if found.price is None:
        went = f"{int(found.part * 100)} % of purchase {row.content['theirs']}{user} is refunded, and no price is known"
        return f"{went}: name it by --price and --currency" if not found.is_ended else f"{went}: ended"
    currency = found.price.currency
    gone = Amount(found.refunded_minor or 0, currency).decimal()
    went = (
        f"{gone} of {found.price.decimal()} {currency} is refunded of purchase {row.content['theirs']}{user},"
        f" {Amount(found.booked_minor, currency).decimal()} booked"
    )
    if found.is_ended:
        return f"{went}: ended"
    if found.waiting is not None:
        proposed = f"journal entry {found.waiting.id}, proposed by {found.waiting.proposed_by}"
        return f"{went}: {proposed}, waits for another person (--confirm)"
    entry = found.entry("-")
    if entry is None:
        return f"{went}: would end it and book nothing"
    debit, credit = entry.lines
    total = Amount(entry.total, currency).decimal()
    return f"{went}: would book {total} {currency}, debit {debit.account}, credit {credit.account}, and end it"


def follow_refunds(tx: Tx, slot: int, fact_id: int) -> None:
    """Bring the imported period that a purchase paid to where the facts about its refunds have it. The fact is that of
    the purchase, or of a refund. Nothing is done if no earlier system has made it, or it was not told yet."""
    row = fact_rows.lock_fact_numbered(tx, slot, fact_id)
    paid = _paid(tx, row)
    if paid is None:
        return
    names = (row.slot, row.provider_account, row.environment, paid.content["agreement"])
    agreement = agreement_rows.lock_of_import(tx, *names)
    period = None if agreement is None else _period(tx, agreement, paid)
    if agreement is None or period is None:
        return
    is_whole = _part(_told(tx, paid), _told_price(paid)) >= 1
    status = "refunded" if is_whole else "free"
    if period.status != status:
        changed = agreement_rows.change_period(tx, period, {"status": status})
        agreement_events.tell_agreement(tx, EventType.AGREEMENT_REFUNDED, agreement, changed)


def look_at(core: Core, number: int, price: Money | None = None) -> RefundOfImport:
    """How that refund stands, and what would be booked to end it. `price` is the gross of the purchase, where its store
    did not tell one. Raises NotFound, FactNotEnded."""
    found = core.of_number(number).read(partial(_read, number=number, price=price))
    return core.house.read(partial(_with_entries, found=found))


def end_refund(core: Core, found: RefundOfImport, reason: str, *, actor: str) -> RefundOfImport:
    """Book what is to be booked, and end the fact. Where a second person must confirm the entry, the fact waits for
    that. A repeat goes on where the first was stopped. Raises FactNotEnded, and what `journal.propose_entry` does."""
    if found.is_ended:
        return found
    if not reason.strip():
        raise FactNotEnded("say why")
    if found.waiting is not None:
        raise FactNotEnded(f"journal entry {found.waiting.id} waits for another person: confirm, or withdraw it")
    if found.price is None and found.part:
        raise FactNotEnded("the store told no price: say what was paid, and in which currency")
    entry = found.entry(reason)
    if entry is not None:
        proposed = journal.propose_entry(core, entry, _request(found.row, found.entries, actor))
        if proposed.status != EntryStatus.POSTED:
            return look_at(core, found.row.id, found.price)
    return _end(core, found, reason, actor)


def confirm_end(core: Core, found: RefundOfImport, *, actor: str) -> RefundOfImport:
    """Post the entry as the second person, and end the fact. Raises FactNotEnded, and what `journal.confirm_entry`
    does."""
    if found.is_ended:
        return found
    entry = found.newest
    if found.waiting is not None:
        entry = journal.confirm_entry(core, found.waiting.id, actor=actor)
    elif entry is None or found.rest_minor:
        raise FactNotEnded("nobody has proposed how to end it")
    return _end(core, found, entry.reason, actor)


def _end(core: Core, found: RefundOfImport, reason: str, actor: str) -> RefundOfImport:
    row = found.row

    def work(tx: Tx) -> None:
        known = fact_rows.lock_fact_numbered(tx, row.slot, row.id)
        if known.outcome == Outcome.PARKED and known.reason == Mismatch.REFUND_BEFORE_IMPORT:
            ended = Decision(Outcome.NOTED, Mismatch.REFUND_BEFORE_IMPORT)
            fact_rows.settle_fact(tx, row.slot, row.id, ended, None)
            interventions.write_down(tx, row.slot, None, "fact_ended", actor=actor, reason=reason, fact_id=row.id)

    core.at(row.slot).transact(work)
    return look_at(core, row.id, found.price)


# --- reading ---


def _read(tx: Tx, *, number: int, price: Money | None) -> RefundOfImport:
    row = tx.execute(select(*_f).where(_f.slot == slot_of_number(number), _f.id == number)).one_or_none()
    if row is None:
        raise NotFound("there is no such fact")
    if row.reason != Mismatch.REFUND_BEFORE_IMPORT or row.outcome not in (Outcome.PARKED, Outcome.NOTED):
        stands = f"{row.outcome} {row.reason}".strip()
        raise FactNotEnded(f"it is {stands}: only a refund of what an earlier system sold is ended so")
    paid = tx.execute(select(*_f).where(*_names(row), _f.key == _paid_key(row.content["theirs"]))).one_or_none()
    if paid is None:
        raise FactNotEnded("its purchase was not told yet")
    told_price = _told_price(paid)
    if price is not None and told_price not in (None, price):
        raise FactNotEnded(f"the store told another price: {told_price.decimal()} {told_price.currency}")
    agreed = (row.slot, row.provider_account, row.environment, paid.content["agreement"])
    known = told_price or price
    part = _part(_told(tx, paid), known)
    return RefundOfImport(row, agreement_rows.find_of_import(tx, *agreed), part, known)


def _with_entries(tx: Tx, *, found: RefundOfImport) -> RefundOfImport:
    """With what entries about the purchase have booked: those that were withdrawn or taken back do not count."""
    booked, newest, entries = 0, None, 0
    while (entry := journal.entry_of_request(tx, _request(found.row, entries, ""))) is not None:
        newest, entries = entry, entries + 1
        if entry.status == EntryStatus.POSTED and not journal.is_taken_back(tx, entry.id):
            booked += sum(line["debit"] - line["credit"] for line in entry.lines if line["account"] == OPENING)
    return replace(found, booked_minor=booked, newest=newest, entries=entries)


def _request(row: AnyRow, number: int, actor: str) -> EntryRequest:
    """What names an entry about a purchase: counted, since one that was withdrawn makes room for another."""
    key = f"{row.environment}:{row.content['theirs']}:{number}"
    return EntryRequest(f"refund_of_import:{row.provider_account}", key, actor)


def _names(row: Any) -> tuple[Any, ...]:
    account, environment = _f.provider_account == row.provider_account, _f.environment == row.environment
    return _f.slot == row.slot, account, environment


def _paid_key(theirs: str | None) -> str:
    return key_of(Fact(Kind.PAID, Ref(theirs=theirs), datetime.min.replace(tzinfo=UTC)))


def _paid(tx: Tx, row: AnyRow) -> AnyRow | None:
    """The purchase, locked, if an earlier system has credited it."""
    names = (row.slot, row.provider_account, row.environment, _paid_key(row.content["theirs"]))
    paid = refund_rows.unmatched_paid_fact(tx, *names)
    return paid if paid is not None and paid.reason == Mismatch.BEFORE_IMPORT else None


def _told(tx: Tx, paid: AnyRow) -> list[RefundFact]:
    """What was told about refunds of the purchase."""
    wanted = select(*_f).where(
        *_names(paid),
        _f.reason == Mismatch.REFUND_BEFORE_IMPORT,
        _f.content["theirs"].as_string() == paid.content["theirs"],
    )
    return [refund_fact(row) for row in tx.execute(wanted.order_by(_f.at, _f.id))]


def _told_price(paid: AnyRow) -> Money | None:
    """What the payer paid, by the store."""
    minor, currency = paid.content["amount_minor"], paid.content["currency"]
    return Money(minor, currency) if minor is not None and currency is not None else price_of(paid.content)


def _part(told: Sequence[RefundFact], price: Money | None) -> Fraction:
    """What of the purchase is refunded. A refund that tells no size is one of all."""
    minor = None if price is None else price.minor
    sized = [
        fact if fact.kind is not Kind.REFUNDED or tells_a_size(fact, minor) else replace(fact, share=SHARE_PARTS)
        for fact in told
    ]
    return refunded(sized, minor).part


def _period(tx: Tx, agreement: AnyRow, paid: AnyRow) -> AnyRow | None:
    """The imported period that the purchase paid; None for one before it."""
    until = datetime.fromisoformat(paid.content["period_end"])
    imported = (_P.payment_id.is_(None), _P.status.in_(["free", "refunded"]))
    mine = (_P.slot == agreement.slot, _P.agreement_id == agreement.id, _P.starts_at < until, _P.ends_at >= until)
    return tx.execute(select(*_P).where(*mine, *imported)).first()
