"""`tillbook find`: what any number names, and everything that happened to the order behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import click

from app.cli.house import end_as_whole, house
from app.services.base.context import Core
from app.services.lookup.entries import sentence
from app.services.lookup.search import Named, things_named
from app.services.lookup.timeline import TimelinePage, agreement_timeline, timeline


@click.command()
@click.argument("number")
@click.option(
    "--timeline", "with_timeline", is_flag=True, help="Everything that happened to the orders and agreements, in order."
)
@click.option(
    "--limit", type=click.IntRange(1), default=1000, show_default=True, help="Entries of one timeline at the most."
)
def find(number: str, with_timeline: bool, limit: int) -> None:
    """What NUMBER names: our number of an order, payment, refund, transfer, hold, gift, receipt, fact, message or
    agreement, a provider's number, a store's transaction id, or a user's id. Exits 1 if it names nothing here.

    Of a fact, `tillbook facts find NUMBER` shows more: its money, and what to do about it.
    """
    core = house().core
    answer = things_named(core, number)
    for thing in answer.found:
        click.echo(_line(thing))
    if with_timeline:
        _show_timelines(core, answer.found, limit)
    end_as_whole(answer.missing)
    if not answer.found:
        raise click.ClickException(f"nothing here has the number {number}")


def _show_timelines(core: Core, found: Sequence[Named], limit: int) -> None:
    orders = dict.fromkeys(thing.order for thing in found if thing.order is not None)
    agreements = dict.fromkeys(thing.agreement for thing in found if thing.agreement is not None)
    if found and not orders and not agreements:
        raise click.ClickException("none of these is an agreement, or belongs to an order")
    for order in orders:
        _show_timeline(f"order {order}", partial(timeline, core, order), limit)
    for agreement in agreements:
        _show_timeline(f"agreement {agreement}", partial(agreement_timeline, core, agreement), limit)


def _line(thing: Named) -> str:
    known = {
        "user": thing.user,
        "order": thing.order if thing.kind != "order" else None,
        "account": thing.provider_account,
        "theirs": thing.theirs if thing.theirs != thing.number else None,
        "environment": thing.environment,
    }
    words = [thing.kind, thing.number, thing.status, *(f"{name}={word}" for name, word in known.items() if word)]
    at = f"  {thing.at:%Y-%m-%d %H:%M:%S}" if thing.at is not None else ""
    return "  ".join(str(word) for word in words if word) + at


def _show_timeline(title: str, read: Callable[..., TimelinePage], limit: int) -> None:
    click.echo(f"\n{title}, everything that happened (times are UTC):")
    cursor: str | None = None
    while limit > 0:
        page = read(cursor=cursor, limit=limit)
        for entry in page.entries:
            click.echo(f"{entry.at:%Y-%m-%d %H:%M:%S.%f}  {sentence(entry)}")
        limit, cursor = limit - len(page.entries), page.cursor
        if cursor is None:
            return
    click.echo("… and more: raise --limit")
