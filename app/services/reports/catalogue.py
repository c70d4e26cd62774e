"""The reports, by name: the one table from which the command line and the API offer them, as CSV and as workbooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import TypeVar

from app.domain.accounting_time import TICK, Basis, Span
from app.domain.report_tables import ReportTable
from app.services.base.context import Tx
from app.services.base.errors import DomainError, UnknownProviderAccount
from app.services.finance import recognition
from app.services.finance.liability_reports import contract_liability_table, revenue_table
from app.services.reports.balances import balance_table, balances_for, chart_table
from app.services.reports.clearing_sheet import clearing_sheet
from app.services.reports.fee_list import fee_list
from app.services.reports.general_ledger import adjustments_table, general_journal
from app.services.reports.movements import Period, period_of
from app.services.reports.sales import refunds_of_money, sales
from app.services.reports.settlement_sheet import settlement_sheets
from app.services.reports.store_sheet import store_sheet
from app.services.reports.unspent_coins import deferred_table, unspent_coins

Bound = TypeVar("Bound")


class DaysNotWorkedOut(DomainError):
    """The worker has not worked out the unspent coins of all these days yet. The detail says how far it is."""

    code = "days_not_worked_out"


class WrongBounds(DomainError):
    """The report is of another kind of time than was asked for, or of no account. The detail names the bound that is
    missing, or the one that is too much."""

    code = "report_bounds"


class Times(Enum):
    """Of which time a report is: the bounds that a caller gives, each of these sets by itself."""

    PERIOD = ("`since` and `until`", "since until")
    DAY = ("`at`", "at")
    BALANCE = ("`at`, or `since` and `until`, or no time", "", "at", "since until")
    NOW = ("no time", "")

    def __init__(self, words: str, *bounds: str) -> None:
        self.words, self.bounds = words, [set(names.split()) for names in bounds]


@dataclass(frozen=True, slots=True)
class ReportWanted:
    """Of which time a report is wanted, by which time transfers count, and of which provider account (empty: all)."""

    span: Span | None = None
    at: datetime | None = None
    basis: Basis = Basis.EFFECTIVE
    account: str = ""


@dataclass(frozen=True, slots=True)
class ReportKind:
    """A report, what it says in a sentence, of which time it is, and what draws it."""

    about: str
    times: Times
    draw: Callable[[Tx, ReportWanted], ReportTable]
    of_account: bool = False
    """Whether it can be drawn of one provider account alone."""
    of_unspent_coins: bool = False
    """Whether the worker has to have worked out the days."""


def _of_period(make: Callable[[Tx, Period], ReportTable]) -> Callable[[Tx, ReportWanted], ReportTable]:
    return lambda tx, wanted: make(tx, _period(tx, wanted))


def _of_days(make: Callable[[Tx, date, date], ReportTable]) -> Callable[[Tx, ReportWanted], ReportTable]:
    """A report of whole days."""
    return lambda tx, wanted: make(tx, *_days(_period(tx, wanted)))


def _period(tx: Tx, wanted: ReportWanted) -> Period:
    return period_of(tx, _given(wanted.span), wanted.basis, tx.core.rules.ledger.zone)


def _days(period: Period) -> tuple[date, date]:
    """The first and the last day, in the zone of the period."""
    since, until = period.span.since, period.span.until - TICK
    return since.astimezone(period.zone).date(), until.astimezone(period.zone).date()


def _fees(tx: Tx, wanted: ReportWanted) -> ReportTable:
    return fee_list(tx, _given(wanted.span), wanted.account)


def _clearing(tx: Tx, wanted: ReportWanted) -> ReportTable:
    return clearing_sheet(tx, _given(wanted.at).astimezone(tx.core.rules.ledger.zone).date(), wanted.account)


def _trial_balance(tx: Tx, wanted: ReportWanted) -> ReportTable:
    until = wanted.at if wanted.span is None else wanted.span.until - TICK
    since = None if wanted.span is None else wanted.span.since
    return balance_table(balances_for(tx, wanted.basis, since=since, until=until), tx.core.rules.finance)


REPORTS: Mapping[str, ReportKind] = {
    "sales": ReportKind(
        "What was sold by product and provider account, what went back, and what has no price.",
        Times.PERIOD,
        _of_period(sales),
    ),
    "refunds": ReportKind("Each movement of money back to a payer.", Times.PERIOD, _of_period(refunds_of_money)),
    "journal": ReportKind(
        "For the general ledger: what moved by day, kind and pair of accounts, as debit and credit.",
        Times.PERIOD,
        _of_period(lambda tx, period: general_journal(tx, period, tx.core.rules.finance)),
    ),
    "settlement": ReportKind(
        "By day and provider account: our total, the bill's, the differences, and what falls on a day's boundary.",
        Times.PERIOD,
        _of_period(settlement_sheets),
    ),
    "fees": ReportKind(
        "Each fee that a provider took or gave back, with its payment and the row of the bill that says so.",
        Times.PERIOD,
        _fees,
        of_account=True,
    ),
    "store-sales": ReportKind(
        "Of stores, by period, product and territory: units, gross, proceeds and the store's share, or its estimate.",
        Times.PERIOD,
        _of_period(store_sheet),
    ),
    "contract-liability": ReportKind(
        "Unspent coins and their money, by product and month of sale: opening, what moved, closing.",
        Times.PERIOD,
        _of_days(contract_liability_table),
        of_unspent_coins=True,
    ),
    "revenue": ReportKind(
        "Revenue by day, product and month of sale: of coins that were used, and of those that expired.",
        Times.PERIOD,
        _of_days(revenue_table),
        of_unspent_coins=True,
    ),
    "adjustments": ReportKind(
        "What was booked in these days for months that were closed already; it counts when it was booked.",
        Times.PERIOD,
        lambda tx, wanted: adjustments_table(tx, _given(wanted.span)),
    ),
    "trial-balance": ReportKind(
        "Every account with its debits, credits and balance, at a moment (now, if none is given) or of a period.",
        Times.BALANCE,
        _trial_balance,
    ),
    "clearing": ReportKind(
        "What each provider says that it holds at the end of a day, and what the books say.",
        Times.DAY,
        _clearing,
        of_account=True,
    ),
    "unspent": ReportKind(
        "Who has the coins that are paid for and not spent, and what they are worth at present, by user and purchase.",
        Times.NOW,
        lambda tx, wanted: unspent_coins(tx),
    ),
    "deferred-revenue": ReportKind(
        "Coins that are bought and not spent, and the money they were bought with, by product and month.",
        Times.NOW,
        lambda tx, wanted: deferred_table(tx),
    ),
    "chart": ReportKind(
        "The chart of accounts for money, with the numbers of your own.",
        Times.NOW,
        lambda tx, wanted: chart_table(tx.core.rules.finance),
    ),
}


def check_bounds(name: str, given: Mapping[str, object]) -> None:
    """That `given` (by `since`, `until`, `at` and `account`; None or empty: not given) is what the report takes. Raises
    WrongBounds."""
    kind = REPORTS[name]
    there = {bound for bound, value in given.items() if value}
    if "account" in there and not kind.of_account:
        raise WrongBounds(f"the report {name} is of all accounts: `account` cannot be given")
    there -= {"account"}
    if there in kind.times.bounds:
        return
    missing = next((bounds - there for bounds in kind.times.bounds if there < bounds), set[str]())
    too_much = there.difference(*kind.times.bounds) or there
    wrong = f"{_named(missing)} must be given" if missing else f"{_named(too_much)} cannot be given"
    raise WrongBounds(f"the report {name} takes {kind.times.words}: {wrong}")


def _named(bounds: set[str]) -> str:
    return " and ".join(f"`{bound}`" for bound in sorted(bounds))


def draw_report(tx: Tx, name: str, wanted: ReportWanted) -> ReportTable:
    """The report of that name (a key of REPORTS). Its rows are read while they are taken: take them inside of `tx`,
    which should be a snapshot. Raises WrongBounds, DaysNotWorkedOut, UnknownProviderAccount."""
    if wanted.account and tx.core.registry.get(wanted.account) is None:
        raise UnknownProviderAccount(f"there is no provider account {wanted.account!r}")
    kind = REPORTS[name]
    if kind.of_unspent_coins:
        _check_worked_out(tx, _days(_period(tx, wanted))[1])
    return kind.draw(tx, wanted)


def _given(bound: Bound | None) -> Bound:
    """Who asks without a table of bounds (a program) hears of it, too."""
    if bound is None:
        raise WrongBounds("a bound of the report's time is missing")
    return bound


def _check_worked_out(tx: Tx, last: date) -> None:
    done, zone = recognition.progress(tx), tx.core.rules.ledger.zone
    known = None if done is None else (done.booked_until - TICK).astimezone(zone).date()
    if known is None or known < last:
        reached = "no day" if known is None else f"the days until {known}"
        raise DaysNotWorkedOut(f"the worker has worked out {reached} so far: each a day after its end")
