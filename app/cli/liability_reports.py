"""The reports on unspent coins, as CSV: the roll-forward of the contract liability, and revenue by day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

import click

from app.cli.house import house
from app.domain.report_tables import ReportTable
from app.services.base.context import Tx
from app.services.finance import recognition
from app.services.finance.liability_reports import contract_liability_table, revenue_table
from app.services.reports.files import csv_lines

_DAY = click.DateTime(["%Y-%m-%d"])
_since = click.option("--from", "since", metavar="YYYY-MM-DD", type=_DAY, required=True, help="The first day.")
_until = click.option("--to", "until", metavar="YYYY-MM-DD", type=_DAY, required=True, help="The last day.")
MakeTable = Callable[[Tx, date, date], ReportTable]


@click.command("contract-liability")
@_since
@_until
def report_contract_liability(since: datetime, until: datetime) -> None:
    """Unspent coins and their money, by product and month of sale: opening, what moved, closing. As CSV."""
    _write(since.date(), until.date(), contract_liability_table)


@click.command("revenue")
@_since
@_until
def report_revenue(since: datetime, until: datetime) -> None:
    """Revenue by day, product and month of sale: of coins that were used, and of those that expired. As CSV."""
    _write(since.date(), until.date(), revenue_table)


def _write(since: date, until: date, make: MakeTable) -> None:
    if until < since:
        raise click.UsageError("the report would end before it begins")
    house().core.read(lambda tx: _echo(tx, since, until, make), snapshot=True)


def _echo(tx: Tx, since: date, until: date, make: MakeTable) -> None:
    done, zone = recognition.progress(tx), tx.core.rules.ledger.zone
    known = None if done is None else (done.booked_until - timedelta(microseconds=1)).astimezone(zone).date()
    if known is None or known < until:
        reached = "no day" if known is None else f"the days until {known}"
        raise click.ClickException(f"the worker has worked out {reached} so far: each a day after its end")
    for line in csv_lines(make(tx, since, until), end="\n"):
        click.echo(line, nl=False)
