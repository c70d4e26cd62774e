"""The subcommands for figures: the trial balance as a table, a file or JSON, and its checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path

import click

from app.cli.finance import show_clearing
from app.cli.house import house
from app.cli.report_files import (
    BASES,
    REPORT_COMMANDS,
    form_option,
    form_wanted,
    output_option,
    write_table,
)
from app.domain.accounting_time import Basis, NotATime, moment_given
from app.domain.trial_balance import TrialBalance, TrialBalanceLine, as_json, numbers_for_people
from app.services.finance.accounting_periods import balance_by, moved_by
from app.services.ledger import checkpoints
from app.services.reports.balances import balance_table


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
    core = house().core.for_reports()
    ends = [text for text in (at, until) if text is not None]
    if len(ends) > 1 or (at is not None and since is not None) or (until is not None and since is None):
        raise click.UsageError("give --at, or --from with or without --to")
    zone, now = core.rules.ledger.zone, core.clock.now()
    end = report_moment(ends[0], zone, is_end=True) if ends else None
    if since is None:
        found = core.whole.read(lambda tx: balance_by(tx, Basis(basis), now=now, at=end), snapshot=True)
    else:
        start = report_moment(since, zone, is_end=False)
        found = core.whole.read(lambda tx: moved_by(tx, Basis(basis), now=now, since=start, until=end), snapshot=True)
    if form is not None or output is not None:
        write_table(core, balance_table(found, core.rules.finance), form_wanted(form, output), output)
    elif as_document:
        sheets = [as_json(sheet) for sheet in found.sheets]
        click.echo(json.dumps({"at": found.at.isoformat(), "balanced": found.balanced, "sheets": sheets}))
    else:
        click.echo("\n".join(as_table(found, zone)))
    if not found.balanced:
        raise SystemExit(1)


for _command in REPORT_COMMANDS:
    report.add_command(_command)


def report_moment(text: str, zone: tzinfo, *, is_end: bool) -> datetime:
    """A bare date or an ISO time. Raises click's error for anything else."""
    try:
        return moment_given(text, zone, is_end=is_end)
    except NotATime as error:
        raise click.BadParameter(str(error)) from None


report.add_command(show_clearing)


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
            *((_name(line), *numbers_for_people(line, sheet), _trouble(line)) for line in sheet.lines),
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


def _trouble(line: TrialBalanceLine) -> str:
    return f"  differs from its legs by {line.difference}" if line.difference else ""
