"""The subcommands for providers' bills: those that are kept, and reading some days of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from app.cli.house import house
from app.models.base import AnyRow
from app.services.bills.kept_bills import BillDamaged, BillWindow, bill_bytes, list_bills
from app.services.calls.scans import NotRead, read_range

BILL_ZONE = ZoneInfo("Asia/Shanghai")
"""The zone in which days of bills are given to these commands: providers of bills by the day count in it."""
MOST_BILL_DAYS = 366
Days = tuple[datetime, datetime]


class _DaysType(click.ParamType[Days]):
    name = "days"

    def convert(self, value: str | Days, param: click.Parameter | None, ctx: click.Context | None) -> Days:
        if isinstance(value, tuple):
            return value
        first, _, last = value.partition("..")
        try:
            begin, end = date.fromisoformat(first), date.fromisoformat(last or first) + timedelta(days=1)
        except (ValueError, OverflowError):
            self.fail(f"not days like 2026-01-01..2026-03-31: {value}", param, ctx)
        if not timedelta(0) < end - begin <= timedelta(days=MOST_BILL_DAYS):
            self.fail(f"1 to {MOST_BILL_DAYS} days, the first one first", param, ctx)
        return _start_of(begin), _start_of(end)


def _start_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=BILL_ZONE).astimezone(UTC)


@click.group()
def bills() -> None:
    """Bills of providers, kept as they came."""


@bills.command("list")
@click.option("--account", help="Only of this provider account.")
def list_kept(account: str | None) -> None:
    """Each bill: account, feed, name, bytes, when it was fetched, and the SHA-256 of its bytes."""
    for bill in house().core.read(lambda tx: list_bills(tx, account)):
        click.echo(
            f"{bill.provider_account}  {bill.feed}  {bill.name}  {bill.size} bytes"
            f"  fetched {bill.fetched_at:%Y-%m-%d %H:%M:%S}  {bill.sha256}"
        )


@bills.command("export")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--account", help="Only of this provider account.")
@click.option(
    "--days", type=_DaysType(), help="2026-01-01..2026-03-31: bills that were asked for in these days (Asia/Shanghai)."
)
def export_bills(folder: Path, account: str | None, days: Days | None) -> None:
    """Write the bills into FOLDER, byte for byte, with a list of their hashes (`sha256sum -c SHA256SUMS`).

    A bill that the provider made anew is a file of its own. A file that is there already is not written again.
    """
    core = house().core
    since, until = days or (None, None)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for bill in core.read(lambda tx: list_bills(tx, account, since, until)):
        try:
            content = core.read(partial(bill_bytes, bill=bill))
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
@click.argument("days", type=_DaysType())
def fetch_bills(account: str, feed: str, days: Days) -> None:
    """Read FEED of the provider account ACCOUNT for DAYS (2026-01-01..2026-03-31, or one day, in Asia/Shanghai).

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
    window = BillWindow(account, feed, days[0], min(days[1], core.clock.now()))
    try:
        facts = read_range(core, found, window, click.echo)
    except NotRead as error:
        raise click.ClickException(f"{account} {feed}: {error}") from None
    click.echo(f"{account} {feed}: {facts} facts")


def _file_name(bill: AnyRow) -> str:
    """Without anything that a path could be made of; the hash keeps bills of one name apart."""
    name = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in bill.name)
    return f"{bill.provider_account}_{bill.feed}_{bill.sha256[:12]}_{name.lstrip('.')}"
