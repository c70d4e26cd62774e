"""The subcommands for figures: the trial balance as a table, a file or JSON, and its checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path

import click

from app.cli.house import house
from app.cli.report_files import (
    BASES,
    REPORT_COMMANDS,
    form_option,
    form_wanted,
    output_option,
    read_report,
    report_moment,
    write_table,
)
from app.domain.accounting_time import Basis
from app.domain.report_tables import Amount, Cell, ReportTable
from app.domain.trial_balance import TrialBalance, TrialBalanceLine, TrialSheet, as_json, numbers_for_people
from app.services.ledger import checkpoints
from app.services.reports.balances import balance_table, balances_for
from app.services.reports.catalogue import ReportWanted, draw_report


@click.group()
def report() -> None:
    """Figures for finance."""


@report.command("trial-balance")
@click.option("--at", metavar="TIME", help="2026-03-31 (its end, in the zone of the rules) or 2026-03-01T00:00:00Z.")
@click.option("--from", "since", metavar="TIME", help="Only what moved from then on: 2026-03-01, or an ISO time.")
@click.option("--to", "until", metavar="TIME", help="With --from: up to then. Likewise; at present, if not given.")
@click.option(
    "--by",
    "basis",
    type=click.Choice(BASES),
    default=BASES[0],
    show_default=True,
    help="When it happened (of closed months what was closed), or when it was booked.",
)
@click.option("--json", "as_document", is_flag=True, help="As one JSON document.")
@form_option
@output_option
def report_trial_balance(
    at: str | None,
    since: str | None,
    until: str | None,
    basis: str,
    as_document: bool,
    form: str | None,
    output: Path | None,
) -> None:
    """What every account of the house, and all users together, gained and lost: money as 6.00, coins as whole numbers;
    with --json all in the smallest unit. Exits 1 if it does not sum to zero."""
    core = house().core
    ends = [text for text in (at, until) if text is not None]
    if len(ends) > 1 or (at is not None and since is not None) or (until is not None and since is None):
        raise click.UsageError("give --at, or --from with or without --to")
    zone = core.rules.ledger.zone
    end = report_moment(ends[0], zone, is_end=True) if ends else None
    start = None if since is None else report_moment(since, zone, is_end=False)
    found = read_report(core, lambda tx: balances_for(tx, Basis(basis), since=start, until=end))
    if form is not None or output is not None:
        write_table(core, balance_table(found, core.rules.finance), form_wanted(form, output), output)
    elif as_document:
        sheets = [as_json(sheet) for sheet in found.sheets]
        click.echo(json.dumps({"at": found.at.isoformat(), "balanced": found.balanced, "sheets": sheets}))
    else:
        click.echo("\n".join(as_table(found, zone)))
    if not found.balanced:
        raise SystemExit(1)


@report.command("clearing")
@click.argument("account")
@click.argument("day", metavar="YYYY-MM-DD")
@form_option
@output_option
def report_clearing(account: str, day: str, form: str | None, output: Path | None) -> None:
    """What the provider says that it holds at the end of a day (of its bills), and what the books say. Exits 1 if there
    is a rest."""
    core = house().core
    wanted = ReportWanted(at=report_moment(day, core.rules.ledger.zone, is_end=True), account=account)
    table = read_report(core, lambda tx: _with_its_rows(draw_report(tx, "clearing", wanted)))
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    if form is not None or output is not None:
        write_table(core, table, form_wanted(form, output), output)
    else:
        for row in rows:
            told = _told(row["by_bill"], "no bill says")
            books, way, left = (_told(row[name], "unknown") for name in ("by_books", "on_its_way", "rest"))
            click.echo(f"{row['currency']}  bill {told}  books {books}  on its way {way}  rest {left}")
    if any(isinstance(row["rest"], Amount) and row["rest"].minor for row in rows):
        raise SystemExit(1)


def _with_its_rows(table: ReportTable) -> ReportTable:
    """A short one, read to its end."""
    return replace(table, rows=list(table.rows))


def _told(cell: Cell, otherwise: str) -> str:
    return cell.decimal() if isinstance(cell, Amount) else otherwise


for _command in REPORT_COMMANDS:
    report.add_command(_command)


@click.command("recount-checkpoints")
@click.argument("since", metavar="YYYY-MM-DD", type=click.DateTime(["%Y-%m-%d"]))
def recount_checkpoints(since: datetime) -> None:
    """Count the checkpoints anew from that day (UTC) on, after the audit named it and the cause was found."""
    core = house().core
    written = checkpoints.recount(core.whole.sessions, since.date(), now=core.clock.now())
    click.echo(f"checkpoints: {written} written anew")


def as_table(found: TrialBalance, zone: tzinfo) -> Iterator[str]:
    """Line by line, its moment in that zone. What is wrong is said at the end of its line."""
    yield f"trial balance at {found.at.astimezone(zone):%Y-%m-%d %H:%M:%S%z}"
    for sheet in found.sheets:
        rows = [
            ("account", "debits", "credits", "balance", ""),
            *((_name(line), *numbers_for_people(line, sheet), _trouble(line, sheet)) for line in sheet.lines),
            ("total", *numbers_for_people(sheet, sheet), "" if sheet.balanced else "  NOT BALANCED"),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        yield ""
        yield f"{sheet.asset} {sheet.environment}"
        for name, *numbers, trouble in rows:
            right = "  ".join(number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True))
            yield f"  {name.ljust(widths[0])}  {right}{trouble}"


def _name(line: TrialBalanceLine) -> str:
    return f"users: {line.code}" if line.of_users else line.code


def _trouble(line: TrialBalanceLine, sheet: TrialSheet) -> str:
    if not line.difference:
        return ""
    by = Amount(line.difference, sheet.asset).decimal() if sheet.is_money else line.difference
    return f"  differs from its legs by {by}"
