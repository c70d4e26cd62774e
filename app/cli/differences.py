"""`tillbook differences`: where bills and books disagree, and what is done about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from zoneinfo import ZoneInfo

import click

from app.cli.days import Days, DaysType, days_of_bills
from app.cli.house import house
from app.cli.lists import list_options, span_of, time_options, write_list
from app.domain import list_tables, representations
from app.domain.differences import DifferenceType
from app.domain.numbers import parse_number
from app.domain.report_tables import Amount
from app.domain.settling import TooMuchLeftOver
from app.models.base import AnyRow
from app.models.differences import STATES
from app.services.base.context import Tx
from app.services.base.errors import NotFound
from app.services.bills.readings import account_named
from app.services.differences import difference_rows, repairs, write_offs
from app.services.differences.comparisons import Comparison, compare_account
from app.services.differences.difference_lists import DifferenceFilter, list_differences
from app.services.differences.difference_rows import NotDone
from app.services.differences.pairs import match_differences, proposed_others, reopen_difference
from app.services.differences.repairs import Repair

_actor = click.option("--actor", required=True, help="Who you are.")


@click.group()
def differences() -> None:
    """Where a provider's bills and the books disagree."""


@differences.command("list")
@click.option("--account", help="Only of this provider account.")
@click.option("--type", "kind", type=click.Choice([kind.value for kind in DifferenceType]))
@click.option("--state", type=click.Choice([*STATES, "all"]), help="Those that are not settled, if not given.")
@time_options
@list_options
def list_all(
    account: str | None,
    kind: str | None,
    state: str | None,
    since: str | None,
    until: str | None,
    limit: int | None,
    as_csv: bool,
) -> None:
    """Differences, the earliest first."""
    wanted = DifferenceFilter(account, kind, state, span_of(since, until))
    columns = list_tables.DIFFERENCE_COLUMNS
    entry = itemgetter(*columns)
    table = (columns, lambda row: entry(representations.difference_data(row))) if as_csv else None
    write_list(partial(list_differences, house().core, wanted), limit, _line, table)


@differences.command("show")
@click.argument("number")
def show_difference(number: str) -> None:
    """One difference: its sums and numbers, its history, its repairs, and others that may be its other side."""
    core = house().core
    with _told():
        row = core.home.read(partial(difference_rows.find_difference, number=_number(number)))
        click.echo(_line(row))
        for change in core.home.read(partial(difference_rows.changes_of, row=row)):
            click.echo(f"  {change.at:%Y-%m-%d %H:%M:%S}  {change.what}  {change.actor}  {change.detail}".rstrip())
        offered = ", ".join(repairs.offered_for(row)) or "none but a note or a write-off"
        click.echo(f"  repairs: {offered}")
        for other in core.home.read(partial(proposed_others, row=row)):
            click.echo(f"  perhaps the other side: {_line(other)}")


@differences.command("run")
@click.argument("account")
@click.argument("days", type=DaysType())
@click.option("--actor", default="command", show_default=True, help="Who you are.")
def run_comparison(account: str, days: Days, actor: str) -> None:
    """Compare the books of ACCOUNT with its bills for DAYS (2026-01-01..2026-03-31, or one day, of its bills).

    What differs is kept, and what does not differ any more is closed. It may be run at any time, any number of times.
    """
    core = house().core
    with _told():
        found = account_named(core, account)
        _echo_comparison(compare_account(core, found, *days_of_bills(core, account, days), actor=actor))


@differences.command("take")
@click.argument("number")
@click.option("--owner", help="Who works on it; you, if not given.")
@_actor
def take(number: str, owner: str | None, actor: str) -> None:
    """Say who works on a difference."""
    with _told():
        row = difference_rows.take_difference(house().core, _number(number), actor=actor, owner=owner)
        click.echo(_line(row))


@differences.command("note")
@click.argument("number")
@click.argument("text")
@_actor
def write_note(number: str, text: str, actor: str) -> None:
    """Write a note beside a difference."""
    with _told():
        click.echo(_line(difference_rows.note_difference(house().core, _number(number), text, actor=actor)))


@differences.command("resolve")
@click.argument("number")
@click.option("--reason", required=True)
@_actor
def resolve(number: str, reason: str, actor: str) -> None:
    """Say that nothing is left to be done. Found again, the difference is opened again.

    What no repair can mend (not_ours, fee, late, balance, payout_missing) stays ended for as long as the bill says the
    same.
    """
    with _told():
        click.echo(_line(difference_rows.resolve_difference(house().core, _number(number), reason, actor=actor)))


@differences.command("match")
@click.argument("number")
@click.argument("other")
@click.option("--reason", required=True, help="Why the two are one payment or refund.")
@_actor
def match(number: str, other: str, reason: str, actor: str) -> None:
    """Say that two differences are the two sides of one payment or refund: they end together.

    Both have one sum and are near in time (`show` proposes the other side). If a bill tells one of them otherwise
    later, both are open again.
    """
    with _told():
        for row in match_differences(house().core, _number(number), _number(other), reason, actor=actor):
            click.echo(_line(row))


@differences.command("reopen")
@click.argument("number")
@click.option("--reason", required=True)
@_actor
def reopen(number: str, reason: str, actor: str) -> None:
    """Take back that a difference was resolved or matched. Of two that were matched both are open again."""
    with _told():
        click.echo(_line(reopen_difference(house().core, _number(number), reason, actor=actor)))


@differences.command("repair")
@click.argument("number")
@click.option(
    "--by", "repair", type=click.Choice([repair.value for repair in Repair]), help="The usual one, if not given."
)
@click.option("--yes", is_flag=True, help="Do it; without this, only what would be done is shown.")
@click.option("--reason", default="", help="Needed with --yes.")
@click.option("--actor", default="", help="Who you are. Needed with --yes.")
def repair_difference(number: str, repair: str | None, yes: bool, reason: str, actor: str) -> None:
    """Repair a difference along the normal road: ask the provider, apply the line of the bill, or refund.

    Afterwards the moment of the difference is compared once more: that alone closes it.
    """
    core = house().core
    with _told():
        plan = repairs.plan_repair(core, _number(number), None if repair is None else Repair(repair))
        if not yes:
            click.echo(f"would {plan.sentence}")
            return
        if not (reason and actor):
            raise click.UsageError("--yes needs --reason and --actor")
        _echo_comparison(repairs.carry_out(core, plan, actor=actor, reason=reason))
        row = core.home.read(partial(difference_rows.find_difference, number=plan.row.id))
        click.echo(_line(row))


@differences.command("write-off")
@click.argument("number")
@click.option("--reason", default="", help="Why. The first person gives it.")
@click.option("--confirm", is_flag=True, help="You are the second person, and agree.")
@_actor
def write_off(number: str, reason: str, confirm: bool, actor: str) -> None:
    """Write a difference off: one person proposes it with a reason, another one confirms it. Then it is booked."""
    core = house().core
    with _told():
        if confirm:
            row = write_offs.confirm_write_off(core, _number(number), actor=actor)
        else:
            row = write_offs.propose_write_off(core, _number(number), reason, actor=actor)
        for entry in core.home.read(partial(_entries, row=row)) if not confirm else ():
            click.echo(f"would book {entry}")
        click.echo(_line(row))


def _entries(tx: Tx, row: AnyRow) -> list[str]:
    told = []
    for entry in write_offs.write_off_entries(tx, row):
        debit, credit = entry.lines
        total = Amount(entry.total, entry.currency).written()
        told.append(f"{total}, debit {debit.account}, credit {credit.account}")
    return told


def _number(text: str) -> int:
    number = parse_number(text)
    if number is None:
        raise click.BadParameter(f"not the number of a difference: {text}")
    return number


@contextmanager
def _told() -> Iterator[None]:
    """What cannot be done is one clear sentence."""
    try:
        yield
    except NotFound as error:
        raise click.ClickException(error.detail or "there is no such difference") from None
    except (NotDone, TooMuchLeftOver) as error:
        raise click.ClickException(str(error)) from None


def _line(row: AnyRow) -> str:
    ours = difference_rows.sum_written(row.ours_minor, row.ours_currency)
    sums = f"ours {ours}  theirs {difference_rows.sum_written(row.theirs_minor, row.theirs_currency)}"
    names = "".join(f"  {name}={value}" for name in ("ours", "theirs", "refund") if (value := getattr(row, name)))
    names = names or f"  {row.subject}"
    owner = f"  {row.owner}" if row.owner else ""
    note = f"  «{row.note}»" if row.note else ""
    at = row.at.astimezone(ZoneInfo(row.zone))
    head = f"{row.id}  {at:%Y-%m-%d %H:%M:%S%z}  {row.provider_account}  {row.type}  {row.state}"
    return f"{head}{owner}  {sums}{names}{note}"


def _echo_comparison(done: Comparison) -> None:
    if done.side is None:
        click.echo("no bill covers that time: nothing is compared")
        return
    kept = done.kept
    click.echo(
        f"{done.matched} matched, {done.not_ours} of other systems, {done.undecided} undecided, {done.waiting} still to"
        f" come; differences: {kept.opened} new, {kept.reopened} again, {kept.stayed} as before, {kept.gone} gone"
    )
    for since, until in done.gaps:
        click.echo(f"no bill covers {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC")
