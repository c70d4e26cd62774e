"""The subcommands for figures: deferred revenue as CSV, the trial balance as a table or as JSON, its checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import click

from app.cli.house import given_moment, house
from app.cli.report_files import REPORT_COMMANDS
from app.domain.csv_text import csv_line
from app.domain.trial_balance import TrialBalance, TrialBalanceLine, as_json, numbers_of
from app.services.ledger import checkpoints
from app.services.ledger.deferred import deferred_revenue
from app.services.ledger.trial_balance import trial_balance


@click.group()
def report() -> None:
    """Figures for finance."""


@report.command("deferred-revenue")
def report_deferred_revenue() -> None:
    """As CSV: coins that are bought and not spent, and the money they were bought with, by product and month."""
    parts = house()
    zone = parts.core.rules.ledger.zone
    figures = parts.core.read(lambda session: deferred_revenue(session, zone=zone), snapshot=True)
    rows: list[list[object]] = [["environment", "product", "month", "asset", "coins", "currency", "value_minor"]]
    rows += (
        [about.environment, about.product, about.month, about.asset, sums.coins, about.currency, sums.value_minor]
        for about, sums in figures.items()
    )
    for row in rows:
        click.echo(csv_line(row, end="\n"), nl=False)


@report.command("trial-balance")
@click.option("--at", metavar="ISO-TIME", help="With time zone, as 2026-03-01T00:00:00Z; at present, if not given.")
@click.option("--json", "as_document", is_flag=True, help="As one JSON document.")
def report_trial_balance(at: str | None, as_document: bool) -> None:
    """What every account of the house, and all users together, gained and lost. Exits 1 if it does not sum to zero."""
    moment = None if at is None else given_moment(at)
    core = house().core
    now = core.clock.now()
    found = core.read(lambda session: trial_balance(session, now=now, at=moment), snapshot=True)
    if as_document:
        sheets = [as_json(sheet) for sheet in found.sheets]
        click.echo(json.dumps({"at": found.at.isoformat(), "balanced": found.balanced, "sheets": sheets}))
    else:
        click.echo("\n".join(as_table(found)))
    if not found.balanced:
        raise SystemExit(1)


for _command in REPORT_COMMANDS:
    report.add_command(_command)


@click.command("recount-checkpoints")
@click.argument("since", metavar="YYYY-MM-DD", type=click.DateTime(["%Y-%m-%d"]))
def recount_checkpoints(since: datetime) -> None:
    """Count the checkpoints anew from that day (UTC) on, after the audit named it and the cause was found."""
    core = house().core
    written = checkpoints.recount(core.sessions, since.date(), now=core.clock.now())
    click.echo(f"checkpoints: {written} written anew")


def as_table(found: TrialBalance) -> Iterator[str]:
    """Line by line. What is wrong is said at the end of its line."""
    yield f"trial balance at {found.at.isoformat()}"
    for sheet in found.sheets:
        rows = [
            ("account", "debits", "credits", "balance", ""),
            *((_name(line), *numbers_of(line), _trouble(line)) for line in sheet.lines),
            ("total", *numbers_of(sheet), "" if sheet.balanced else "  NOT BALANCED"),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        yield ""
        yield f"{sheet.asset} {sheet.environment}"
        for name, *numbers, trouble in rows:
            right = "  ".join(number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True))
            yield f"  {name.ljust(widths[0])}  {right}{trouble}"


def _name(line: TrialBalanceLine) -> str:
    return f"users: {line.code}" if line.of_users else line.code


def _trouble(line: TrialBalanceLine) -> str:
    return f"  differs from its legs by {line.difference}" if line.difference else ""
