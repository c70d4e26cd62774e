"""The subcommands of finance: journal entries by hand, closing a month, and what bills book."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from app.cli.days import zone_of_days
from app.cli.house import house
from app.domain.accounting_time import NotATime, moment_given
from app.domain.csv_text import csv_line
from app.domain.journal import JournalEntry, JournalLine
from app.domain.money import MoneyError, parse_decimal
from app.domain.report_tables import Amount
from app.models.base import AnyRow
from app.providers.registry import ProviderAccount
from app.services.base.context import Core
from app.services.base.errors import DomainError
from app.services.finance import bill_bookings, closings
from app.services.finance import journal as entries
from app.services.finance.journal import EntryRequest
from app.services.finance.store_payouts import propose_payouts

LIST_PAGE = 500
_actor = click.option("--actor", required=True, help="Who you are.")


# --- journal entries ---


@click.group()
def journal() -> None:
    """Journal entries by hand, on accounts of the house that hold money."""


@journal.command("post")
@click.option("--document", required=True, help="The reference of the paper or file behind it.")
@click.option("--reason", required=True)
@click.option("--currency", required=True)
@click.option("--debit", "debits", multiple=True, metavar="ACCOUNT=AMOUNT", help="As suspense=6.00; may be repeated.")
@click.option("--credit", "credits_", multiple=True, metavar="ACCOUNT=AMOUNT", help="Likewise.")
@click.option("--effective", metavar="DATE", help="When it happened: 2026-01-31, or an ISO time. Now, if not given.")
@click.option("--environment", type=click.Choice(["live", "sandbox"]), default="live", show_default=True)
@click.option("--key", help="Tells two entries apart that are alike. Without: the same command again is one entry.")
@_actor
def post_entry(
    document: str,
    reason: str,
    currency: str,
    debits: Sequence[str],
    credits_: Sequence[str],
    effective: str | None,
    environment: str,
    key: str | None,
    actor: str,
) -> None:
    """Propose a journal entry. It is posted at once if it needs no second person."""
    core = house().core
    lines = [*_lines(debits, currency, debit=True), *_lines(credits_, currency, debit=False)]
    with _refusals():
        at = None if effective is None else moment_given(effective, core.rules.ledger.zone, is_end=False)
        at = entries.effective_day(at, core.clock.now())
        entry = JournalEntry(document, reason, currency, lines, at, environment)
        request = EntryRequest(f"operator:{actor}", key or _digest(entry), f"operator:{actor}")
        _say(entries.propose_entry(core, entry, request))


@journal.command("payout")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--account", required=True, help="The provider account of the store.")
@click.option(
    "--paid-on", required=True, metavar="DATE", help="When it came, by your bank: 2026-02-26, or an ISO time."
)
@click.option(
    "--others", multiple=True, metavar="CURRENCY=AMOUNT", help="What of it was earned by apps that are not sold here."
)
@_actor
def post_payout(file: Path, account: str, paid_on: str, others: Sequence[str], actor: str) -> None:
    """Propose the journal entries of a payout, by the statement that you downloaded from the store.

    The same statement again changes nothing. Each entry is confirmed like any other.
    """
    core = house().core
    with _refusals():
        paid_at = moment_given(paid_on, core.rules.ledger.zone, is_end=False)
        rows = propose_payouts(
            core,
            _account(core, account),
            file.read_bytes(),
            paid_at=paid_at,
            others=dict(map(_sum_of, others)),
            actor=f"operator:{actor}",
        )
    for row in rows:
        _say(row)
        _say_lines(row)


def _sum_of(text: str) -> tuple[str, int]:
    currency, _, amount = text.partition("=")
    try:
        return currency, parse_decimal(amount, currency).minor
    except MoneyError as error:
        raise click.BadParameter(f"{text}: {error}") from None


@journal.command("reverse")
@click.argument("number", type=int)
@click.option("--document", required=True)
@click.option("--reason", required=True)
@_actor
def reverse_entry(number: int, document: str, reason: str, actor: str) -> None:
    """Propose the entry that takes back a posted one."""
    request = EntryRequest(f"operator:{actor}", f"reverse:{number}", f"operator:{actor}")
    with _refusals():
        _say(entries.propose_reversal(house().core, number, document, reason, request))


@journal.command("confirm")
@click.argument("number", type=int)
@_actor
def confirm_entry(number: int, actor: str) -> None:
    """Post a proposed entry, as another person than the one who proposed it."""
    with _refusals():
        _say(entries.confirm_entry(house().core, number, actor=f"operator:{actor}"))


@journal.command("withdraw")
@click.argument("number", type=int)
@_actor
def withdraw_entry(number: int, actor: str) -> None:
    """Say that a proposed entry will never be posted."""
    with _refusals():
        _say(entries.withdraw_entry(house().core, number, actor=f"operator:{actor}"))


@journal.command("show")
@click.argument("number", type=int)
def show_entry(number: int) -> None:
    """One entry with its lines."""
    with _refusals():
        row = house().core.home.read(lambda tx: entries.find_entry(tx, number))
    _say(row)
    _say_lines(row)


@journal.command("list")
@click.option("--status", type=click.Choice(["proposed", "posted", "withdrawn"]))
def list_entries(status: str | None) -> None:
    """As CSV, a row for each line of each entry, the newest entry first."""
    columns = ("number", "status", "document", "effective_at", "proposed_by", "proposed_at", "ended_by", "ended_at")
    click.echo(csv_line([*columns, "account", "debit_minor", "credit_minor", "currency", "reason"], end="\n"), nl=False)
    for row in _all_entries(house().core, status):
        told = (row.id, row.status, row.document, row.effective_at, row.proposed_by, row.created_at)
        for line in row.lines:
            money = (line["account"], line["debit"], line["credit"], row.currency, row.reason)
            click.echo(csv_line([*told, row.ended_by, row.ended_at, *money], end="\n"), nl=False)


def _all_entries(core: Core, status: str | None) -> Iterator[AnyRow]:
    page = entries.list_entries(core, None, LIST_PAGE, status=status)
    yield from page.rows
    while page.next is not None:
        page = entries.list_entries(core, page.next, LIST_PAGE, status=status)
        yield from page.rows


def _lines(given: Sequence[str], currency: str, *, debit: bool) -> list[JournalLine]:
    lines = list[JournalLine]()
    for text in given:
        account, _, amount = text.partition("=")
        try:
            minor = parse_decimal(amount, currency).minor
        except MoneyError as error:
            raise click.BadParameter(f"{text}: {error}") from None
        lines.append(JournalLine(account, minor, 0) if debit else JournalLine(account, 0, minor))
    return lines


def _digest(entry: JournalEntry) -> str:
    lines = [[line.account, line.debit, line.credit] for line in entry.lines]
    content = [entry.document, entry.reason, entry.currency, entry.environment, str(entry.effective_at), lines]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _say_lines(row: AnyRow) -> None:
    for line in row.lines:
        debit, credit = (Amount(line[side], row.currency).decimal() for side in ("debit", "credit"))
        click.echo(f"  {line['account']}  debit {debit}  credit {credit}")


def _say(row: AnyRow) -> None:
    total = sum(line["debit"] for line in row.lines)
    money = Amount(total, row.currency).written()
    click.echo(f"journal entry {row.id}: {row.status}  {money}  {row.document}  {row.reason}")


# --- closing a month ---


@click.command("close")
@click.argument("month", metavar="YYYY-MM")
@click.option("--confirm", is_flag=True, help="You are the second person: close it as it was proposed.")
@click.option("--with-open-differences", "despite", metavar="REASON", default="", help="Close it all the same.")
@_actor
def close_month(month: str, confirm: bool, despite: str, actor: str) -> None:
    """Close a month: one person proposes, another one confirms. From then on its reports never change."""
    core = house().core
    with _refusals():
        if confirm:
            row = closings.confirm(core, month, actor=f"operator:{actor}")
        else:
            row = closings.propose(core, month, actor=f"operator:{actor}", despite=despite)
    _say_closing(row)


@click.command("closings")
def list_closings() -> None:
    """The months that are closed or proposed to be."""
    for row in house().core.home.read(closings.list_closings):
        _say_closing(row)


def _say_closing(row: AnyRow) -> None:
    by = row.confirmed_by or row.proposed_by
    click.echo(f"{row.month}: {row.status} by {by}  booked until {row.booked_until.isoformat()}  {row.sha256}")


# --- what bills book ---


@click.command("book-bills")
@click.argument("account")
@click.argument("first", metavar="YYYY-MM-DD")
@click.argument("last", metavar="YYYY-MM-DD")
@click.option("--zone", help="Of these days. It must be that of the account's bills, and need not be said.")
def book_bills(account: str, first: str, last: str, zone: str | None) -> None:
    """Book what the bills of these days say once more: after money of another system turned out to be ours, or the
    other way round. What is booked already stays."""
    core = house().core
    found = _account(core, account)
    if zone is not None and ZoneInfo(zone) != (of_bills := zone_of_days(core, account)):
        raise click.ClickException(f"the days of the bills of {account} are those of {of_bills}")
    click.echo(f"{account}: {bill_bookings.book_days(core, found, _day(first), _day(last))} transfers")


def _account(core: Core, name: str) -> ProviderAccount:
    found = core.registry.get(name)
    if found is None:
        raise click.ClickException(f"no provider account {name!r}")
    return found


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"not a date like 2026-01-31: {text}") from None


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What a use case refuses ends the command with one sentence."""
    try:
        yield
    except DomainError as error:
        raise click.ClickException(error.detail or error.code) from None
    except NotATime as error:
        raise click.BadParameter(str(error)) from None
