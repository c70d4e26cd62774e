"""`tillbook report sales`, `refunds`, `journal`, …: reports of finance as CSV or as an XLSX workbook."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from app.cli.house import house
from app.domain.accounting_time import TICK, Basis, NotATime, Span, moment_given
from app.domain.report_tables import Cell, ReportTable
from app.services.base.context import Core, Tx
from app.services.reports.balances import chart_table
from app.services.reports.catalogue import REPORTS, DaysNotWorkedOut, draw_report
from app.services.reports.files import ReportFormat, csv_lines, write_workbook
from app.services.reports.general_ledger import adjustments_table
from app.services.reports.unspent_coins import deferred_table, unspent_coins

_LINE_END = "\n"
BASES = [basis.value for basis in Basis]
FORMATS = [form.value for form in ReportFormat]
"""The words of the command line: click would take the names of an enumeration, `XLSX`, in place of its values."""


form_option = click.option("--format", "form", type=click.Choice(FORMATS), help="By the file's ending; else CSV.")
output_option = click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file. Without: CSV to stdout."
)


@click.command("unspent")
@form_option
@output_option
def report_unspent(form: str | None, output: Path | None) -> None:
    """Who has the coins that are paid for and not spent, and what they are worth at present, by user and purchase."""
    _draw(unspent_coins, form, output)


@click.command("deferred-revenue")
@form_option
@output_option
def report_deferred_revenue(form: str | None, output: Path | None) -> None:
    """Coins that are bought and not spent, and the money they were bought with, by product and month."""
    _draw(deferred_table, form, output)


@click.command("chart")
@form_option
@output_option
def report_chart(form: str | None, output: Path | None) -> None:
    """The chart of accounts for money, with the numbers of your own."""
    core, wanted = house().core, form_wanted(form, output)
    write_table(core, chart_table(core.rules.finance), wanted, output)


@click.command("adjustments")
@click.option("--from", "since", required=True, metavar="DATE", help="Booked from then on: 2026-03-01, or an ISO time.")
@click.option("--to", "until", required=True, metavar="DATE", help="Up to then; of a bare date, up to its end.")
@form_option
@output_option
def report_adjustments(since: str, until: str, form: str | None, output: Path | None) -> None:
    """What was booked in these days for months that were closed already. It counts when it was booked. Money is written
    as 6.00, coins are whole numbers."""
    span = _span(house().core, since, until)
    _draw(lambda tx: adjustments_table(tx, span), form, output)


def _draw(make: Callable[[Tx], ReportTable], form: str | None, output: Path | None) -> None:
    wanted = form_wanted(form, output)
    house().core.for_reports().whole.read(lambda tx: write_table(tx.core, make(tx), wanted, output), snapshot=True)


def form_wanted(form: str | None, output: Path | None) -> ReportFormat:
    """By the option, else by the file's ending, else CSV. Raises click's error for a workbook without a file."""
    by_ending = ReportFormat.XLSX if output and output.suffix.lower() == ".xlsx" else ReportFormat.CSV
    wanted = ReportFormat(form) if form else by_ending
    if wanted is ReportFormat.XLSX and output is None:
        raise click.UsageError("a workbook needs --output FILE")
    return wanted


def _command(name: str) -> click.Command:
    @click.command(name, help=REPORTS[name].about)
    @click.option("--from", "since", required=True, metavar="DATE", help="2026-01-01, or an ISO time with its zone.")
    @click.option("--to", "until", required=True, metavar="DATE", help="The last day, or an ISO time with its zone.")
    @click.option("--by", "basis", type=click.Choice(BASES), default=BASES[0], show_default=True)
    @form_option
    @output_option
    def draw(since: str, until: str, basis: str, form: str | None, output: Path | None) -> None:
        core = house().core
        span, wanted = _span(core, since, until), form_wanted(form, output)
        try:
            core.for_reports().whole.read(
                lambda tx: _write(tx, name, span, Basis(basis), wanted, output), snapshot=True
            )
        except DaysNotWorkedOut as error:
            raise click.ClickException(error.detail) from None

    return draw


def _span(core: Core, since: str, until: str) -> Span:
    zone = core.rules.ledger.zone
    try:
        span = Span(moment_given(since, zone, is_end=False), moment_given(until, zone, is_end=True) + TICK)
    except NotATime as error:
        raise click.BadParameter(str(error)) from None
    if span.since >= span.until:
        raise click.UsageError("the period ends before it begins")
    return span


def _write(tx: Tx, name: str, span: Span, basis: Basis, form: ReportFormat, output: Path | None) -> None:
    write_table(tx.core, draw_report(tx, name, span, basis), form, output)


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


REPORT_COMMANDS = (
    *(_command(name) for name in REPORTS),
    *(report_unspent, report_deferred_revenue, report_adjustments, report_chart),
)
