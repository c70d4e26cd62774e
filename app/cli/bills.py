"""The subcommands for providers' bills: those that are kept, and reading some days of them."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from app.cli.days import Days, DaysType, days_of_bills, zone_of_days
from app.cli.house import house
from app.cli.lists import list_options, write_list
from app.domain.list_tables import BILL_LINE_COLUMNS
from app.domain.report_tables import Amount
from app.models.base import AnyRow
from app.services.base.errors import NotFound
from app.services.bills import readings
from app.services.bills.kept_bills import BillDamaged, BillWindow, bill_bytes, list_bills
from app.services.calls.scans import NotRead, read_range

BILLS_AT_ONCE = 100


@click.group()
def bills() -> None:
    """Bills of providers, kept as they came."""


@bills.command("list")
@click.option("--account", help="Only of this provider account.")
def list_kept(account: str | None) -> None:
    """Each bill: account, feed, name, bytes, when it was fetched, and the SHA-256 of its bytes."""
    for bill in house().core.home.read(lambda tx: list_bills(tx, account)):
        click.echo(
            f"{bill.provider_account}  {bill.feed}  {bill.name}  {bill.size} bytes"
            f"  fetched {bill.fetched_at:%Y-%m-%d %H:%M:%S}  {bill.sha256}"
        )


@bills.command("export")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--account", help="Only of this provider account.")
@click.option(
    "--days",
    type=DaysType(),
    help="2026-01-01..2026-03-31: bills asked for in these days of the account's bills, or of Asia/Shanghai for all.",
)
def export_bills(folder: Path, account: str | None, days: Days | None) -> None:
    """Write the bills into FOLDER, byte for byte, with a list of their hashes (`sha256sum -c SHA256SUMS`).

    A bill that the provider made anew is a file of its own. A file that is there already is not written again.
    """
    core = house().core
    since, until = (days if account is None or days is None else days_of_bills(core, account, days)) or (None, None)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for bill in core.home.read(lambda tx: list_bills(tx, account, since, until)):
        try:
            content = core.home.read(partial(bill_bytes, bill=bill))
        except BillDamaged as error:
            raise click.ClickException(f"not the bytes that came: {error}") from None
        file = folder / _file_name(bill)
        if not file.exists():
            file.write_bytes(content)
        lines.append(f"{bill.sha256}  {file.name}\n")
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    click.echo(f"{folder}: {len(lines)} bills")


@bills.command("fetch")
@click.argument("account")
@click.argument("feed")
@click.argument("days", type=DaysType())
def fetch_bills(account: str, feed: str, days: Days) -> None:
    """Read FEED of the provider account ACCOUNT for DAYS (2026-01-01..2026-03-31, or one day, of its bills).

    Bills are kept, and what they tell is applied as ever: told twice it changes nothing. What the worker reads by
    itself goes on where it was.
    """
    core = house().core
    found = core.registry.get(account)
    if found is None:
        raise click.ClickException(f"no provider account {account!r}")
    if feed not in getattr(found.provider, "feeds", ()):
        feeds = ", ".join(getattr(found.provider, "feeds", ())) or "none"
        raise click.ClickException(f"{account} has no feed {feed!r}; it has: {feeds}")
    since, until = days_of_bills(core, account, days)
    window = BillWindow(account, feed, since, min(until, core.clock.now()))
    try:
        facts = read_range(core, found, window, click.echo)
    except NotRead as error:
        raise click.ClickException(f"{account} {feed}: {error}") from None
    click.echo(f"{account} {feed}: {facts} facts")
    while readings.read_unread(core, [found], BILLS_AT_ONCE):
        pass


@bills.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--account", required=True, help="The provider account whose bill it is.")
@click.option("--feed", required=True, help="What kind of bill it is.")
@click.option("--name", help="Under which name it is kept; the file's own, if not given.")
def import_bill(file: Path, account: str, feed: str, name: str | None) -> None:
    """Keep a bill that was downloaded by hand, and read it like one that was fetched.

    A bill of a name that is kept already takes its place. What cannot be read is not kept. Exits 1 then.
    """
    core = house().core
    try:
        found = readings.account_named(core, account, feed)
        told = readings.import_bill(core, found, feed, name or file.name, file.read_bytes())
    except (NotFound, readings.NotReadable) as error:
        raise click.ClickException(f"{file}: {error}") from None
    for reading in core.home.read(partial(readings.list_readings, account=account)):
        if (reading.feed, reading.name) == (
            feed,
            name or file.name,
        ) and reading.status != readings.ReadingStatus.REPLACED:
            click.echo(_reading_line(reading))
    click.echo(f"it covers {told.since:%Y-%m-%d %H:%M} to {told.until:%Y-%m-%d %H:%M} UTC")


@bills.command("read-again")
@click.argument("account")
@click.option("--name", help="Only the bills of this name.")
@click.option("--refused", is_flag=True, help="Only those that were refused.")
def read_anew(account: str, name: str | None, refused: bool) -> None:
    """Read the kept bills of ACCOUNT once more, because the plugin that reads them was mended."""
    core = house().core
    try:
        found = readings.account_named(core, account)
    except NotFound as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{account}: {readings.read_bills_again(core, found, name, refused_only=refused)} bills read again")


@bills.command("readings")
@click.option("--account", help="Only of this provider account.")
@click.option("--status", type=click.Choice([status.value for status in readings.ReadingStatus]))
def list_readings(account: str | None, status: str | None) -> None:
    """What became of each bill: read, refused (and why), or replaced by a later one of its name."""
    for reading in house().core.home.read(partial(readings.list_readings, account=account, status=status)):
        click.echo(_reading_line(reading))


@bills.command("lines")
@click.argument("account")
@click.option("--feed", help="Only of this kind of bill.")
@click.option("--days", type=DaysType(), help="2026-01-01..2026-03-31: lines of these days of the bills.")
@list_options
def list_lines(account: str, feed: str | None, days: Days | None, limit: int | None, as_csv: bool) -> None:
    """The lines of the bills of ACCOUNT that count, bill by bill."""
    core = house().core
    wanted = readings.LineFilter(account, feed, *(days_of_bills(core, account, days) if days else (None, None)))
    table = (BILL_LINE_COLUMNS, attrgetter(*BILL_LINE_COLUMNS)) if as_csv else None
    in_words = partial(_line_of_bill, zone=zone_of_days(core, account))
    write_list(partial(readings.list_lines, core, wanted), limit, in_words, table)


def _reading_line(reading: AnyRow) -> str:
    problem = f"  {reading.problem}" if reading.problem else ""
    return (
        f"{reading.provider_account}  {reading.feed}  {reading.name}  {reading.side}  {reading.status}"
        f"  {reading.lines} lines{problem}"
    )


def _line_of_bill(line: AnyRow, zone: ZoneInfo) -> str:
    names = "".join(f"  {name}={value}" for name in ("ours", "theirs", "refund") if (value := getattr(line, name)))
    fee = f"  fee {Amount(line.fee_minor, line.currency).decimal()}" if line.fee_minor else ""
    money = Amount(line.amount_minor, line.currency).written()
    at = line.at.astimezone(zone)
    return f"{at:%Y-%m-%d %H:%M:%S%z}  {line.kind}  {money}{fee}{names}  {line.name}"


def _file_name(bill: AnyRow) -> str:
    """Without anything that a path could be made of; the hash keeps bills of one name apart."""
    name = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in bill.name)
    return f"{bill.provider_account}_{bill.feed}_{bill.sha256[:12]}_{name.lstrip('.')}"
