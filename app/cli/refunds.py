"""`tillbook refunds`: what an operator sees of refunds, and does about those that do not end."""

from __future__ import annotations

from functools import partial
from operator import itemgetter

import click

from app.cli.house import end_as_whole, house
from app.cli.lists import Table, list_options, span_of, time_options, write_list
from app.domain import list_tables, representations
from app.domain.refunding import RefundStatus
from app.domain.report_tables import Amount
from app.models.base import AnyRow
from app.services.facts import parked
from app.services.refunds import overdue, refund_lists
from app.services.refunds.refund_lists import RefundFilter


@click.group()
def refunds() -> None:
    """Money that goes back, or went back."""


@refunds.command("list")
@click.option("--user", help="Only those of this user's orders.")
@click.option("--status", type=click.Choice([str(status) for status in RefundStatus]))
@time_options
@list_options
def list_refunds(
    user: str | None, status: str | None, since: str | None, until: str | None, limit: int | None, as_csv: bool
) -> None:
    """The refunds of all users, or of one, newest first."""
    core = house().core if user else house().core.for_reports()
    wanted = RefundFilter(None, user, None if status is None else RefundStatus(status), span_of(since, until))
    write_list(
        partial(refund_lists.list_refunds, core, wanted),
        limit,
        _line,
        _table() if as_csv else None,
    )


@refunds.command("overdue")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
def list_overdue_refunds(limit: int) -> None:
    """Refunds open for more than three days, and payments of which something went back and nobody has told how much:
    these are asked about until a refund is told, perhaps by the next bill, or you end them. Oldest first."""
    answer = overdue.list_overdue_refunds(house().core, limit)
    found = answer.found
    for row in found.refunds:
        click.echo(f"{_line(row)}  asked {row.queries} times")
    for row in found.payments:
        click.echo(
            f"payment {row.id}  {row.raised_at:%Y-%m-%d %H:%M:%S}  {row.provider_account}  theirs={row.theirs}"
            f"  {row.status}, refunded in part or whole, size not told:"
            f" asked {row.tries} times, next {row.next_try_at or '-'}"
        )
    end_as_whole(answer.missing)


@refunds.command("end")
@click.argument("number", type=int)
@click.option("--by", "name", required=True, help="Who you are.")
@click.option("--reason", required=True)
def end_refund(number: int, name: str, reason: str) -> None:
    """End an open refund, because you have found out that nothing goes back; or stop asking about one that failed.

    Its reserved coins are free again. Should the provider say later that the money went back, that counts all the same.
    With the number of a payment that `refunds overdue` lists: stop asking how much of it went back; if it is held for
    that, it is credited whole, so take back by `POST /v1/debits` what you know to be gone.
    Exits 1 if it cannot be ended.
    """
    try:
        overdue.end_by_hand(house().core, number, by=name, reason=reason)
    except overdue.NotEnded as error:
        raise click.ClickException(f"{number}: {error}") from None
    parked.credit_held(house().core, number)
    click.echo(f"{number}: ended")


def _table() -> Table[AnyRow]:
    cells = itemgetter(*list_tables.REFUND_COLUMNS)
    return list_tables.REFUND_COLUMNS, lambda row: cells(representations.refund_data(row, row.user_id))


def _line(row: AnyRow) -> str:
    money = Amount(row.amount_minor, row.currency).written() if row.amount_minor is not None else "no amount"
    problem = f"  {row.problem}" if row.problem else ""
    return (
        f"{row.id}  {row.created_at:%Y-%m-%d %H:%M:%S}  {row.provider_account}  {row.origin}  {row.status}  {money}"
        f"  payment={row.payment_id}{problem}"
    )
