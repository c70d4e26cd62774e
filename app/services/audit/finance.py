"""Proves the money books: what bills say is booked as they say, journal entries are booked once and by nobody else, and
the reports of closed months are what they were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, select
from sqlalchemy.orm import aliased

from app.domain.accounting_time import BILL_KINDS, ClosedMonth, effective_before
from app.domain.bill_figures import USUAL_RULE, BillDay, BillRule
from app.domain.chart import HOUSE_SLOT
from app.domain.journal import JOURNAL_ENTRY, EntryStatus, transfers_of_entry
from app.domain.ledger import ENVIRONMENTS
from app.domain.report_tables import Amount
from app.models.base import AnyRow
from app.models.bills import BILL_READINGS
from app.models.finance import CLOSINGS, JOURNAL_ENTRIES
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.audit.orders import Finding
from app.services.audit.store_shares import audit_store_shares
from app.services.base.transaction import Sessions, Transaction, read
from app.services.bills.counted_lines import THAT_COUNTS
from app.services.finance import bill_sums, closings
from app.services.finance.accounting_periods import CLOSED
from app.services.finance.bill_bookings import booked_for
from app.services.finance.journal import entry_of

ENTRY_PAGE = 500
_T, _A, _R, _J, _C = TRANSFERS.c, ACCOUNTS.c, BILL_READINGS.c, JOURNAL_ENTRIES.c, CLOSINGS.c


def audit_finance(sessions: Sessions, now: datetime, rules: Mapping[str, BillRule]) -> Iterator[Finding]:
    """Findings, in bounded memory."""
    yield from _bills(sessions, now, rules)
    yield from audit_store_shares(sessions)
    yield from _journal(sessions)
    yield from _closed_months(sessions, now)


# --- what bills say ---


def _bills(sessions: Sessions, now: datetime, rules: Mapping[str, BillRule]) -> Iterator[Finding]:
    """Every day of every account, and that there is no transfer of these kinds beside them."""
    explained: dict[tuple[str, str], set[date]] = defaultdict(set)
    for account, environment, zone in read(sessions, _accounts):
        waiting = read(sessions, partial(_days_that_wait, account=account, zone=zone, now=now))
        for day in read(sessions, partial(_days, account=account, zone=zone)):
            explained[account, environment].add(day)
            if day not in waiting:
                bill_day = BillDay(account, environment, day, zone, rules.get(account, USUAL_RULE))
                yield from read(sessions, partial(_day, day=bill_day), snapshot=True)
    yield from read(sessions, partial(_unexplained, explained=explained))


def _accounts(tx: Transaction) -> list[tuple[str, str, ZoneInfo]]:
    """Provider accounts of which bills were read, in the environment in which they were booked, and the zone of their
    days. One of which nothing was booked is taken as live."""
    wanted = select(_A.code, _A.environment).distinct().where(_A.slot == HOUSE_SLOT, _A.user_id == "")
    names = {(row.code, row.environment) for row in tx.execute(wanted)}
    found = list[tuple[str, str, ZoneInfo]]()
    for account, zone in bill_sums.zones_of_bills(tx).items():
        booked_in = [environment for environment in ENVIRONMENTS if (f"clearing:{account}", environment) in names]
        found += [(account, environment, zone) for environment in booked_in or ["live"]]
    return found


def _days(tx: Transaction, account: str, zone: ZoneInfo) -> list[date]:
    return list(bill_sums.days_of_account(tx, account, zone))


def _days_that_wait(tx: Transaction, account: str, zone: ZoneInfo, now: datetime) -> set[date]:
    """Days of readings that the worker has not booked yet, and those that it books with the next bill: of refunds that
    took long and are done."""
    waiting = select(BILL_READINGS).where(
        _R.provider_account == account, _R.booked_at.is_(None), _R.status == THAT_COUNTS
    )
    since = now - timedelta(days=bill_sums.LOOKED_BACK_DAYS)
    days = set(bill_sums.days_of_slow_refunds(tx, account, zone, since))
    for reading in tx.execute(waiting).all():
        days |= set(bill_sums.days_of_document(tx, reading))
    return days


def _day(tx: Transaction, day: BillDay) -> list[Finding]:
    due, booked = bill_sums.figures(tx, day), booked_for(tx, day)
    findings = list[Finding]()
    for kind, currency in sorted(due.keys() | booked.keys()):
        minor, _ = booked.get((kind, currency), (0, 0))
        wanted = due.get((kind, currency), 0)
        if minor != wanted:
            is_booked, is_told = (Amount(each, currency).written() for each in (minor, wanted))
            remedy = f"after the cause is found, `tillbook book-bills {day.provider_account} {day.day} {day.day}`"
            detail = f"{day.provider_account} {day.day}: {kind} is {is_booked}, by the bills {is_told}; {remedy}"
            findings.append(Finding("bill_booking", detail))
    return [*findings, *_times(tx, day)]


def _times(tx: Transaction, day: BillDay) -> Iterator[Finding]:
    """Each of the day's transfers has the reference and the effective time of the day."""
    causes = [day.cause(kind, currency) for kind in BILL_KINDS for currency in _currencies(tx, day)]
    wanted = select(_T.id, _T.reference, _T.created_at, _T.effective_at)
    for row in tx.execute(wanted.where(_T.slot == HOUSE_SLOT, _T.cause_id.in_(causes))):
        due = effective_before(day.effective_at, row.created_at)
        if (row.reference, row.effective_at) != (day.reference, due):
            yield Finding("bill_booking", f"transfer {row.id} of {row.reference} is not of {day.reference} at {due}")


def _currencies(tx: Transaction, day: BillDay) -> list[str]:
    wanted = select(_A.asset).where(_A.slot == HOUSE_SLOT, _A.user_id == "", _A.code == day.clearing)
    return list(tx.scalars(wanted.where(_A.environment == day.environment)))


def _unexplained(tx: Transaction, explained: dict[tuple[str, str], set[date]]) -> list[Finding]:
    """Transfers of bills that are of no day of which there are bills, or name no figure of that day."""
    debit = aliased(ACCOUNTS, name="debit_account")
    wanted = (
        select(_T.id, _T.slot, _T.kind, _T.reference, _T.cause_id, debit.c.environment, debit.c.asset)
        .prefix_with(sweep("audit"))
        .join(debit, and_(debit.c.slot == _T.slot, debit.c.id == _T.debit_id))
        .where(_T.kind.in_(BILL_KINDS))
    )
    findings = list[Finding]()
    for row in tx.execute(wanted):
        account, _, text = row.reference.rpartition(":")
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = date.min
        known = day in explained.get((account, row.environment), ())
        cause = BillDay(account, row.environment, day, bill_sums.UTC_ZONE).cause(row.kind, row.asset)
        if row.slot != HOUSE_SLOT or not known or row.cause_id != cause:
            findings.append(Finding("bill_booking", f"transfer {row.id} of {row.reference}: no bill says so"))
    return findings


# --- journal entries ---


def _journal(sessions: Sessions) -> Iterator[Finding]:
    last, booked = -1, 0
    while page := read(sessions, partial(_entries_after, last=last)):
        for entry in page:
            booked += entry.booked
            yield from read(sessions, partial(_entry, row=entry), snapshot=True)
        last = page[-1].id
    there = select(func.count()).prefix_with(sweep("audit")).select_from(TRANSFERS).where(_T.kind == JOURNAL_ENTRY)
    found = read(sessions, lambda tx: tx.scalar(there))
    again = read(sessions, lambda tx: tx.scalar(select(func.coalesce(func.sum(_J.booked), 0))))
    if found > max(booked, again):
        yield Finding("journal", f"{found} transfers are of journal entries, and the entries have made {again}")


def _entries_after(tx: Transaction, last: int) -> list[AnyRow]:
    return list(tx.execute(select(JOURNAL_ENTRIES).where(_J.id > last).order_by(_J.id).limit(ENTRY_PAGE)))


def _entry(tx: Transaction, row: AnyRow) -> Iterator[Finding]:
    """A posted entry has made its transfers, and no other entry has made any."""
    return iter(list(_wrong_with_entry(tx, row)))


def _wrong_with_entry(tx: Transaction, row: AnyRow) -> Iterator[Finding]:
    is_posted = row.status == EntryStatus.POSTED
    due = transfers_of_entry(row.id, entry_of(row), row.proposed_by)
    if row.booked != (len(due) if is_posted else 0):
        yield Finding("journal", f"entry {row.id} is {row.status} and has made {row.booked} transfers")
    ids = {transfer.id_in(HOUSE_SLOT): transfer for transfer in due}
    wanted = select(_T.id, _T.amount, _T.kind, _T.created_at, _T.effective_at)
    found = {each.id: each for each in tx.execute(wanted.where(_T.slot == HOUSE_SLOT, _T.id.in_(ids)))}
    for number, transfer in ids.items():
        there = found.get(number)
        if (there is not None) != is_posted:
            yield Finding("journal", f"entry {row.id} is {row.status}, and its transfer {number} is {_there(there)}")
        elif there is not None:
            due_at = effective_before(transfer.effective_at, there.created_at)
            if (there.amount, there.kind, there.effective_at) != (transfer.amount, transfer.kind, due_at):
                yield Finding("journal", f"transfer {number} is not what entry {row.id} says")


def _there(row: AnyRow | None) -> str:
    return "missing" if row is None else "booked"


# --- closed months ---


def _closed_months(sessions: Sessions, now: datetime) -> Iterator[Finding]:
    before = list[ClosedMonth]()
    for row in read(sessions, closings.list_closings):
        if row.status != CLOSED:
            continue
        month = ClosedMonth(row.until, row.booked_until)
        drawn = read(sessions, partial(_drawn_again, month=month, before=tuple(before), now=now), snapshot=True)
        before.append(month)
        if closings.digest_of_document(row.document) != row.sha256:
            yield Finding("closing", f"{row.month}: the report that is kept is not the one that was confirmed")
        elif drawn != row.sha256:
            yield Finding("closing", f"{row.month}: its trial balance is not what it was when it was closed")


def _drawn_again(tx: Transaction, month: ClosedMonth, before: tuple[ClosedMonth, ...], now: datetime) -> str:
    return closings.digest_of_document(closings.snapshot_of(tx, month, before, now))
