"""Journal entries by hand, as rules: what makes an entry a valid one, and the transfers that it comes to. No
database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.chart import WRITE_OFF, chart_account
from app.domain.ledger import ENVIRONMENTS, LONGEST, MAX_AMOUNT, Transfer, system
from app.domain.money import Money, MoneyError
from app.domain.report_tables import Amount

MOST_JOURNAL_LINES = 100
"""Lines of one entry."""
JOURNAL_ENTRY = "journal"
"""The kind of transfer that journal entries make."""


class EntryStatus(StrEnum):
    PROPOSED = "proposed"
    """It waits for a second person, and nothing is booked."""
    POSTED = "posted"
    WITHDRAWN = "withdrawn"
    """It was never booked and never will be."""


class BadEntry(ValueError):
    """The entry cannot be booked, whoever wants it. The text says why."""


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One account, and how much is debited or credited there."""

    account: str
    debit: int = 0
    credit: int = 0


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """What a person wants to be booked, all in one currency."""

    document: str
    """The reference of the paper or file behind it."""
    reason: str
    currency: str
    lines: Sequence[JournalLine]
    effective_at: datetime | None = None
    """When it happened. None: when it is booked."""
    environment: str = "live"
    reverses: int | None = None
    """The number of the entry that this one takes back."""

    @property
    def total(self) -> int:
        return sum(line.debit for line in self.lines)

    @property
    def is_write_off(self) -> bool:
        return any(line.account == WRITE_OFF for line in self.lines)

    def needs_a_second(self, alone_up_to_minor: int) -> bool:
        """Whether another person must confirm it."""
        return self.is_write_off or self.total > alone_up_to_minor


def check_entry(entry: JournalEntry) -> None:
    """Raises BadEntry."""
    for name, text, most in (("document", entry.document, "reference"), ("reason", entry.reason, "note")):
        if not text.strip() or len(text) > LONGEST[most]:
            raise BadEntry(f"the {name} has 1 to {LONGEST[most]} characters")
    if entry.environment not in ENVIRONMENTS:
        raise BadEntry(f"not an environment: {entry.environment}")
    try:
        Money(0, entry.currency)
    except MoneyError as error:
        raise BadEntry(str(error)) from None
    if not 2 <= len(entry.lines) <= MOST_JOURNAL_LINES:
        raise BadEntry(f"an entry has 2 to {MOST_JOURNAL_LINES} lines")
    for line in entry.lines:
        _check_line(line)
    accounts = [line.account for line in entry.lines]
    if len(set(accounts)) != len(accounts):
        raise BadEntry("an account stands in one line only")
    credited = sum(line.credit for line in entry.lines)
    if entry.total != credited:
        debits, credits_ = (Amount(minor, entry.currency).written() for minor in (entry.total, credited))
        raise BadEntry(f"debits are {debits} and credits {credits_}: an entry is balanced")
    if entry.total > MAX_AMOUNT:
        raise BadEntry("its sum passes 2^63 - 1")


def _check_line(line: JournalLine) -> None:
    account = chart_account(line.account)
    if account is None:
        raise BadEntry(f"not an account of money: {line.account}")
    if not account.by_hand:
        raise BadEntry(f"{line.account} is derived from facts and lots: no entry by hand changes it")
    if len(line.account) > LONGEST["code"]:
        raise BadEntry(f"not an account name: {line.account}")
    amounts = (line.debit, line.credit)
    if any(type(amount) is not int or not 0 <= amount <= MAX_AMOUNT for amount in amounts) or amounts.count(0) != 1:
        raise BadEntry(f"{line.account}: a line has one positive amount, as debit or as credit")


def reversal_of(entry: JournalEntry, number: int, document: str, reason: str) -> JournalEntry:
    """The entry that takes back another one, on the day when it is booked."""
    lines = [JournalLine(line.account, line.credit, line.debit) for line in entry.lines]
    return JournalEntry(document, reason, entry.currency, lines, None, entry.environment, number)


def transfers_of_entry(number: int, entry: JournalEntry, actor: str) -> list[Transfer]:
    """Each debit goes to the credits in their order, until both are used up."""
    debits = [line for line in entry.lines if line.debit]
    used, transfers = 0, list[Transfer]()
    for credit in (line for line in entry.lines if line.credit):
        left = credit.credit
        while left:
            amount = min(left, debits[0].debit - used)
            transfers.append(
                Transfer(
                    scope="journal",
                    key=f"{number}:{len(transfers)}",
                    debit=system(debits[0].account, entry.currency, entry.environment),
                    credit=system(credit.account, entry.currency, entry.environment),
                    amount=amount,
                    kind=JOURNAL_ENTRY,
                    reference=str(number),
                    note=entry.reason,
                    actor=actor,
                    effective_at=entry.effective_at,
                )
            )
            left, used = left - amount, used + amount
            if used == debits[0].debit:
                debits, used = debits[1:], 0
    return transfers


def person_of(actor: str) -> str:
    """Who it is, whichever way they came: `operator:mei` and `backend:shop/mei` are one person."""
    return actor.rsplit("/", 1)[-1].rsplit(":", 1)[-1].strip().casefold()
