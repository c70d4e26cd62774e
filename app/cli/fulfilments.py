"""`tillbook fulfilments`: orders whose coins are with the app's backend, and which it does not deliver."""

from __future__ import annotations

import click

from app.cli.house import end_as_whole, house
from app.services.fulfilments import waiting


@click.group()
def fulfilments() -> None:
    """Orders that the app's backend fulfils, because its wallets live elsewhere."""


@fulfilments.command("waiting")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
def list_waiting_fulfilments(limit: int) -> None:
    """Wishes that the backend has not answered for more than an hour, and refused orders whose money is still here,
    that which waits longest first. The first are told again until they are answered, or you end them."""
    page = waiting.list_waiting_fulfilments(house().core, None, limit)
    for row in page.rows:
        last = row.wishes[-1]
        asks = "nothing" if last["answer"] else last["asks"]
        units = ", ".join(f"{unit['due']} of {unit['granted']} {unit['asset']}" for unit in row.units)
        reason = f"  {row.reason}" if row.reason else ""
        click.echo(
            f"{row.id}  {row.asked_at:%Y-%m-%d %H:%M:%S}  {row.fulfilment_status}  asks {asks}  {row.user_id}"
            f" ({row.environment})  {row.sku}: {units}  revision {len(row.wishes)}, told {row.tellings} times{reason}"
        )
    end_as_whole(page.missing)


@fulfilments.command("end")
@click.argument("number", type=int)
@click.option("--by", "name", required=True, help="Who you are.")
@click.option("--reason", required=True)
def end_fulfilment(number: int, name: str, reason: str) -> None:
    """Stop asking about an order (its NUMBER), because you have found out what became of it.

    No money moves: refund the order by the API if that is right. Exits 1 if there is nothing to be ended.
    """
    try:
        waiting.end_fulfilment_by_hand(house().core, number, by=name, reason=reason)
    except waiting.FulfilmentNotOpen as error:
        raise click.ClickException(f"{number}: {error}") from None
    click.echo(f"{number}: ended")
