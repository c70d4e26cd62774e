"""Books what bills say: fees, payouts, discounts, corrections, and money of other systems.

One figure is of a provider account, a day, a kind and a currency. It is booked as the difference to what is booked for
it already, under the lock of the journal: so a bill that is made anew or a row that comes late is one more transfer, a
repeat is none, and workers may run side by side. A transaction is of one day.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import date, datetime, tzinfo
from functools import partial

import structlog
from sqlalchemy import ColumnElement, and_, case, false, func, or_, select, update

from app.domain.accounting_time import BILL_KINDS
from app.domain.bill_figures import BillDay, BillFigures
from app.domain.bill_lines import BillSide
from app.domain.chart import HOUSE_SLOT
from app.domain.ledger import JOURNAL, system
from app.models.base import AnyRow
from app.models.bills import BILL_READINGS
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.providers.registry import ProviderAccount
from app.services.base.context import Core, Tx, environment_of
from app.services.base.transaction import Transaction
from app.services.bills.counted_lines import THAT_COUNTS
from app.services.finance import bill_sums, store_sales
from app.services.finance.store_sales import StorePeriod
from app.services.ledger.ledger_transaction import LedgerTransaction, places_of
from app.services.ledger.leg_sums import DAY

BOOKING_ATTEMPTS = 5
"""How often a day is added up anew because other bills were read meanwhile."""
_R, _T, _A = BILL_READINGS.c, TRANSFERS.c, ACCOUNTS.c
_log = structlog.get_logger(__name__)

_BOOKED_SIDES = (BillSide.FUNDS, BillSide.TRADES, BillSide.PROCEEDS)
_UNBOOKED = and_(_R.booked_at.is_(None), _R.status == THAT_COUNTS, or_(*(_R.side == side for side in _BOOKED_SIDES)))


class BillsChanging(Exception):
    """Bills are being read so fast that a day could not be added up in between. The worker comes again."""


class _ReadMeanwhile(Exception):
    """Other readings count now than those that were added up."""


def unbooked_readings(tx: Transaction, accounts: Iterable[str], most: int) -> Sequence[AnyRow]:
    """Readings whose fees and so on may not be in the books."""
    wanted = select(BILL_READINGS).where(_UNBOOKED, _R.provider_account.in_(list(accounts)))
    return tx.execute(wanted.order_by(_R.provider_account, _R.id).limit(most)).all()


def any_unbooked(accounts: Iterable[str]) -> ColumnElement[bool]:
    """Whether there is any of these accounts. Without `IN`: the worker asks for all kinds of work in one statement."""
    of_them = or_(false(), *(_R.provider_account == account for account in accounts))
    return select(_R.id).where(_UNBOOKED, of_them).exists()


def book_due_bills(core: Core, most: int) -> int:
    """Book what readings that were not booked yet say; how many. One that cannot be booked keeps no other waiting."""
    accounts = {account.name: account for account in core.registry}
    readings = core.home.read(lambda tx: unbooked_readings(tx, accounts, most))
    booked, failed = 0, list[Exception]()
    for reading in readings:
        try:
            book_reading(core, accounts[reading.provider_account], reading)
            booked += 1
        except Exception as error:
            _log.exception("bill_not_booked", provider_account=reading.provider_account, name=reading.name)
            failed.append(error)
    if failed and not booked:
        raise failed[0]
    return booked


def book_reading(core: Core, account: ProviderAccount, reading: AnyRow) -> int:
    """Book every day that the reading, or an earlier version of its document, tells of (of a store's financial report:
    the store's share); how many transfers. If this is stopped in the middle, it is done again as a whole, and finds
    what is booked."""
    zone = bill_sums.zone_of_bill(reading)
    if reading.side == BillSide.PROCEEDS:
        booked = store_sales.book_share(core, account, StorePeriod(reading.since, reading.until, zone))
    else:
        days = core.whole.read(lambda tx: bill_sums.days_of_document(tx, reading))
        booked = sum(book_day(core, account, day, zone) for day in days)
    of_it = and_(_R.provider_account == reading.provider_account, _R.id == reading.id)
    core.home.transact(lambda tx: tx.execute(update(BILL_READINGS).where(of_it, _UNBOOKED).values(booked_at=tx.now)))
    return booked


def book_days(core: Core, account: ProviderAccount, first: date, last: date) -> int:
    """Book the days of the account's bills from the first to the last once more; how many transfers were made. For a
    person: after money of another system turned out to be ours, or the other way round.

    The days are those of the bills' own zone. In another zone no bill covers a day, and what is booked would be taken
    back."""
    zone = core.home.read(lambda tx: bill_sums.zones_of_bills(tx).get(account.name))
    days = range((last - first).days + 1)
    return 0 if zone is None else sum(book_day(core, account, first + number * DAY, zone) for number in days)


def book_day(core: Core, account: ProviderAccount, day: date, zone: tzinfo) -> int:
    """Bring the books of one day to what its bills say; how many transfers that took."""
    bill_day = BillDay(account.name, environment_of(account.live), day, zone, account.bill_rule)
    for _ in range(BOOKING_ATTEMPTS):
        version, figures = core.whole.read(partial(_added_up, day=bill_day), snapshot=True)
        try:
            booked = core.house.transact(partial(_book, day=bill_day, figures=figures, version=version))
        except _ReadMeanwhile:
            continue
        if booked:
            _log.info("bill_booked", provider_account=account.name, day=day.isoformat(), transfers=booked)
        return booked
    raise BillsChanging(f"{account.name} {day}")


def booked_for(tx: Transaction, day: BillDay) -> dict[tuple[str, str], tuple[int, int]]:
    """What is booked for each figure of that day, and by how many transfers: by kind and currency."""
    causes = {day.cause(kind, currency): (kind, currency) for kind in BILL_KINDS for currency in _currencies(tx, day)}
    found = _sums_by_cause(tx, day.clearing, list(causes)) if causes else []
    return {causes[row.cause_id]: (int(row.minor), int(row.times)) for row in found}


def _currencies(tx: Transaction, day: BillDay) -> Sequence[str]:
    """Those in which money is or was at the provider, in the slot of the house."""
    wanted = select(_A.asset).where(_A.slot == HOUSE_SLOT, _A.user_id == "", _A.code == day.clearing)
    return list(tx.connection().scalars(wanted.where(_A.environment == day.environment)))


def _sums_by_cause(tx: Transaction, clearing: str, causes: Sequence[uuid.UUID]) -> Sequence[AnyRow]:
    comes_in = case((_A.code == clearing, _T.amount), else_=-_T.amount)
    wanted = (
        select(_T.cause_id, func.sum(comes_in).label("minor"), func.count().label("times"))
        .join(ACCOUNTS, and_(_A.slot == _T.slot, _A.id == _T.debit_id))
        .where(_T.slot == HOUSE_SLOT, _A.slot == HOUSE_SLOT, _T.cause_id.in_(causes))
        .group_by(_T.cause_id)
    )
    return tx.connection().execute(wanted).all()


def _added_up(tx: Tx, day: BillDay) -> tuple[tuple[object, ...], BillFigures]:
    return bill_sums.version_of(tx, day.provider_account), bill_sums.figures(tx, day)


def _book(tx: Tx, day: BillDay, figures: BillFigures, version: tuple[object, ...]) -> int:
    before = booked_for(tx, day)
    currencies = {currency for _, currency in (*figures, *before)}
    if not currencies:
        return 0
    places = {(HOUSE_SLOT, system(JOURNAL, currency, day.environment)) for currency in currencies}
    for kind, currency in figures.keys() | before.keys():
        places |= places_of(HOUSE_SLOT, [day.transfer(kind, currency, 1, 0)])
    with LedgerTransaction(tx, places) as books:
        if bill_sums.version_of(tx, day.provider_account) != version:
            raise _ReadMeanwhile
        known, booked = booked_for(tx, day), 0
        for kind, currency in sorted(figures.keys() | known.keys()):
            minor, times = known.get((kind, currency), (0, 0))
            missing = figures.get((kind, currency), 0) - minor
            if missing:
                books.post(HOUSE_SLOT, day.transfer(kind, currency, missing, times))
                booked += 1
    return booked


def not_booked(tx: Transaction, accounts: Iterable[str], until: datetime) -> str:
    """Which bills of days before that moment are read and not booked; empty if there are none."""
    wanted = select(_R.provider_account, _R.name).where(
        _UNBOOKED, _R.provider_account.in_(list(accounts)), _R.since < until
    )
    rows = tx.execute(wanted.limit(1)).all()
    return "".join(f"the bill {row.name} of {row.provider_account} is read and not booked yet" for row in rows)
