"""`tillbook report sales`, `refunds`, `journal`, …: reports of finance as CSV or as an XLSX workbook."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TypeVar

import click

from app.cli.house import house
from app.domain.accounting_time import TICK, Basis, NotATime, Span, moment_given
from app.domain.report_tables import Cell, ReportTable
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError
from app.services.reports.catalogue import REPORTS, ReportWanted, Times, draw_report
from app.services.reports.files import ReportFormat, csv_lines, write_workbook

_LINE_END = "\n"
BASES = [basis.value for basis in Basis]
FORMATS = [form.value for form in ReportFormat]
"""The words of the command line: click would take the names of an enumeration, `XLSX`, in place of its values."""


form_option = click.option("--format", "form", type=click.Choice(FORMATS), help="By the file's ending; else CSV.")
output_option = click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file. Without: CSV to stdout."
)


_from_option = click.option(
    "--from", "since", required=True, metavar="DATE", help="2026-01-01, or an ISO time with its zone."
)
_to_option = click.option(
    "--to", "until", required=True, metavar="DATE", help="The last day, or an ISO time with its zone."
)
_by_option = click.option("--by", "basis", type=click.Choice(BASES), default=BASES[0], show_default=True)
ReadValue = TypeVar("ReadValue")


def form_wanted(form: str | None, output: Path | None) -> ReportFormat:
    """By the option, else by the file's ending, else CSV. Raises click's error for a workbook without a file."""
    by_ending = ReportFormat.XLSX if output and output.suffix.lower() == ".xlsx" else ReportFormat.CSV
    wanted = ReportFormat(form) if form else by_ending
    if wanted is ReportFormat.XLSX and output is None:
        raise click.UsageError("a workbook needs --output FILE")
    return wanted


def _command(name: str) -> click.Command:
    kind = REPORTS[name]

    def draw(
        form: str | None,
        output: Path | None,
        since: str | None = None,
        until: str | None = None,
        basis: str = BASES[0],
        account: str = "",
    ) -> None:
        core = house().core
        span = None if since is None or until is None else _span(core, since, until)
        wanted, form_of_file = ReportWanted(span, basis=Basis(basis), account=account), form_wanted(form, output)
        read_report(core, lambda tx: write_table(core, draw_report(tx, name, wanted), form_of_file, output))

    options = [form_option, output_option]
    if kind.times is Times.PERIOD:
        options += [_from_option, _to_option, _by_option]
    if kind.of_account:
        options.append(click.option("--account", default="", help="Only of this provider account."))
    for option in reversed(options):
        draw = option(draw)
    return click.command(name, help=kind.about)(draw)


def read_report(core: Core, read: Callable[[Tx], ReadValue]) -> ReadValue:
    """Read figures as they are at one moment. What cannot be drawn ends the command with one sentence."""
    try:
        return core.for_reports().whole.read(read, snapshot=True)
    except DomainError as error:
        raise click.ClickException(error.detail or error.code) from None


def report_moment(text: str, zone: tzinfo, *, is_end: bool) -> datetime:
    """A bare date or an ISO time. Raises click's error for anything else."""
    try:
        return moment_given(text, zone, is_end=is_end)
    except NotATime as error:
        raise click.BadParameter(str(error)) from None


def _span(core: Core, since: str, until: str) -> Span:
    zone = core.rules.ledger.zone
    span = Span(report_moment(since, zone, is_end=False), report_moment(until, zone, is_end=True) + TICK)
    if span.since >= span.until:
        raise click.UsageError("the period ends before it begins")
    return span


def write_table(core: Core, table: ReportTable, form: ReportFormat, output: Path | None) -> None:
    """Write the rows into the file, or as CSV to stdout."""
    with _counted(table) as counted:
        if output is None:
            for line in csv_lines(counted, _LINE_END):
                click.echo(line, nl=False)
        elif form is ReportFormat.XLSX:
            write_workbook(counted, output, core.rules.ledger.zone)
        else:
            with output.open("w", encoding="utf-8", newline="") as file:
                file.writelines(csv_lines(counted))


@contextmanager
def _counted(table: ReportTable) -> Iterator[ReportTable]:
    """On a terminal, a bar counts the rows; how many there will be is not known."""
    if not sys.stderr.isatty():
        yield table
        return
    bar: click._termui_impl.ProgressBar[Sequence[Cell]]
    with click.progressbar(table.rows, label=table.name, show_pos=True, file=sys.stderr) as bar:
        yield replace(table, rows=bar)


OF_THEIR_OWN = ("trial-balance", "clearing")
"""Reports whose command is written by hand: without a file they are texts for people."""
REPORT_COMMANDS = tuple(_command(name) for name in REPORTS if name not in OF_THEIR_OWN)
