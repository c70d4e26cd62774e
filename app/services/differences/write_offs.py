"""Writes a difference off: one person wants it, with a reason, and another one agrees. Then the books follow the bill:
what the provider has more, or less, than the books is a journal entry against the account `writeoff`."""

from __future__ import annotations

from functools import partial

from sqlalchemy import func, select

from app.domain.bill_lines import BillSide, LineKind
from app.domain.chart import WRITE_OFF
from app.domain.differences import DifferenceType
from app.domain.journal import JournalEntry, JournalLine, person_of
from app.domain.report_tables import Amount
from app.models.base import AnyRow
from app.models.bills import BILL_LINES
from app.models.differences import DIFFERENCE_CHANGES
from app.services.base.context import Core, Tx, environment_of
from app.services.base.sanitize import storable_text
from app.services.bills.counted_lines import LinesOf, counted_lines
from app.services.differences.difference_rows import (
    IN_WORK,
    LONGEST_DIFFERENCE_NOTE,
    LONGEST_WORKER_NAME,
    WRITTEN_OFF,
    NotDone,
    change_difference,
    difference_of,
    unsettled_difference,
)
from app.services.finance.journal import EntryRequest, post_agreed

_c, _l = DIFFERENCE_CHANGES.c, BILL_LINES.c
_TOLD_WRONGLY = frozenset({DifferenceType.OURS_NOT_THEIRS, DifferenceType.REFUND_MISSING, DifferenceType.AMOUNT})
"""Of what the books have: a trade bill tells otherwise, or not at all."""


def propose_write_off(core: Core, number: int, reason: str, *, actor: str) -> AnyRow:
    """Keep who wants it written off, and why. Nothing is booked yet. Raises NotFound, NotDone."""
    text, name = storable_text(reason, LONGEST_DIFFERENCE_NOTE), storable_text(actor, LONGEST_WORKER_NAME)
    if not text.strip():
        raise NotDone("a write-off needs a reason")
    values = {"state": IN_WORK, "written_off_by": name, "note": text}
    return core.house.transact(
        lambda tx: change_difference(tx, unsettled_difference(tx, number), name, "write_off_proposed", text, **values)
    )


def confirm_write_off(core: Core, number: int, *, actor: str) -> AnyRow:
    """Book it, because a second person agrees. Raises NotFound, NotDone."""
    return core.house.transact(partial(_confirm, number=number, actor=actor))


def _confirm(tx: Tx, *, number: int, actor: str) -> AnyRow:
    row = unsettled_difference(tx, number)
    if not row.written_off_by:
        raise NotDone("nobody has proposed to write it off")
    if person_of(row.written_off_by) == person_of(actor):
        raise NotDone("another person than the one who proposed it must confirm it")
    entries, times = write_off_entries(tx, row), _times(tx, row)
    for entry in entries:
        request = EntryRequest(
            f"difference:{row.provider_account}", f"{row.id}:{times}:{entry.currency}", row.written_off_by
        )
        post_agreed(tx, entry, request, confirmed_by=actor)
    detail = ", ".join(Amount(entry.total, entry.currency).written() for entry in entries) or "nothing to book"
    return change_difference(tx, row, actor, "written_off", detail, state=WRITTEN_OFF, closed_at=tx.now)


def write_off_entries(tx: Tx, row: AnyRow) -> list[JournalEntry]:
    """The journal entries that writing it off would book, one for each currency. Where the account bill has the money
    as the books have it, the other bill alone is wrong, and nothing is to be booked. Raises NotDone."""
    account = tx.core.registry.get(row.provider_account)
    if account is None:
        raise NotDone(f"provider account {row.provider_account!r} is not configured")
    if row.side == BillSide.TRADES and _balance_agrees(tx, row):
        return []
    clearing, entries = f"clearing:{row.provider_account}", []
    for currency, minor in sorted(difference_of(row).moved_minor().items()):
        debit, credit = (clearing, WRITE_OFF) if minor > 0 else (WRITE_OFF, clearing)
        lines = [JournalLine(debit, debit=abs(minor)), JournalLine(credit, credit=abs(minor))]
        environment = environment_of(account.live)
        entries.append(JournalEntry(f"difference {row.id}", row.note, currency, lines, environment=environment))
    return entries


def _balance_agrees(tx: Tx, row: AnyRow) -> bool:
    """Whether an account bill tells of the payment, or refund, as the books do: less what the merchant gave away, which
    never reaches the balance."""
    if row.type not in _TOLD_WRONGLY or row.theirs is None or row.ours_minor is None:
        return False
    kind = LineKind.REFUND if row.ours_minor < 0 else LineKind.PAYMENT
    of_it = [_l.theirs == row.theirs, _l.currency == row.ours_currency]
    if kind is LineKind.REFUND:
        of_it.append(_l.refund == row.refund)
    trades = counted_lines(tx, LinesOf(row.provider_account, BillSide.TRADES, [kind]), *of_it, once=True)
    given_away = tx.scalar(select(trades.c.discount_minor).where(trades.c.key == row.line_key)) or 0
    funds = counted_lines(tx, LinesOf(row.provider_account, BillSide.FUNDS, [kind]), *of_it, once=True)
    same = select(funds.c.key).where(funds.c.amount_minor == row.ours_minor + given_away).limit(1)
    return tx.scalar(same) is not None


def _times(tx: Tx, row: AnyRow) -> int:
    """How often it was written off before: opened again, it may be once more."""
    of_it = (_c.provider_account == row.provider_account, _c.difference_id == row.id, _c.what == "written_off")
    return int(tx.scalar(select(func.count()).select_from(DIFFERENCE_CHANGES).where(*of_it)))
