"""The reports on unspent coins, as CSV: the roll-forward of the contract liability, and revenue by day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

import click

from app.cli.house import house
from app.domain.csv_text import csv_line
from app.services.base.context import Core, Tx
from app.services.finance import recognition
from app.services.finance.contract_liability import LiabilityKey
from app.services.finance.liability_reports import COLUMNS, liability_lines, revenue_lines

_DAY = click.DateTime(["%Y-%m-%d"])
_ABOUT = LiabilityKey._fields


def _period(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--to", "until", metavar="YYYY-MM-DD", type=_DAY, required=True, help="The last day.")(
        command
    )
    return click.option("--from", "since", metavar="YYYY-MM-DD", type=_DAY, required=True, help="The first day.")(
        command
    )


@click.command("contract-liability")
@_period
def report_contract_liability(since: datetime, until: datetime) -> None:
    """Unspent coins and their money, by product and month of sale: opening, what moved, closing. As CSV."""
    _write(since, until, liability_table)


@click.command("revenue")
@_period
def report_revenue(since: datetime, until: datetime) -> None:
    """Revenue by day, product and month of sale: of coins that were used, and of those that expired. As CSV."""
    _write(since, until, revenue_table)


def liability_table(tx: Tx, since: date, until: date) -> Iterator[list[object]]:
    """The roll-forward, its heading first. Money that nobody told is empty."""
    names = ("opening", *COLUMNS, "closing")
    yield [*_ABOUT, *(f"{name}_coins" for name in names), *(f"{name}_minor" for name in names)]
    for line in liability_lines(tx, since, until):
        coins = [line.opening_coins, *(line.coins[name] for name in COLUMNS), line.closing_coins]
        minor = [line.opening_minor, *(line.minor[name] for name in COLUMNS), line.closing_minor]
        yield [*line.about, *coins, *(minor if line.is_valued else [None] * len(minor))]


def revenue_table(tx: Tx, since: date, until: date) -> Iterator[list[object]]:
    """Revenue by day, its heading first. Money that nobody told is empty."""
    yield ["day", *_ABOUT, "coins", "earned_minor", "breakage_minor"]
    for line in revenue_lines(tx, since, until):
        money = [line.earned_minor, line.breakage_minor] if line.about.currency else [None, None]
        yield [line.day, *line.about, line.coins, *money]


def _write(since: datetime, until: datetime, table: Callable[[Tx, date, date], Iterator[list[object]]]) -> None:
    core = house().core
    first, last = since.date(), until.date()
    if last < first:
        raise click.UsageError("the report would end before it begins")
    core.read(lambda tx: _echo(tx, core, first, last, table), snapshot=True)


def _echo(
    tx: Tx, core: Core, first: date, last: date, table: Callable[[Tx, date, date], Iterator[list[object]]]
) -> None:
    done = recognition.progress(tx)
    known = None if done is None else _day_before(done.booked_until, core)
    if known is None or known < last:
        reached = "no day yet" if known is None else f"{known}"
        raise click.ClickException(f"the worker has worked out {reached}: a day is worked out a day after its end")
    for row in table(tx, first, last):
        click.echo(csv_line(row, end="\n"), nl=False)


def _day_before(until: datetime, core: Core) -> date:
    return (until - timedelta(microseconds=1)).astimezone(core.rules.ledger.zone).date()
