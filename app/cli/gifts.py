"""`tillbook gifts`: what an operator sees of gifts that do not end."""

from __future__ import annotations

import click

from app.cli.house import end_as_whole, house
from app.services.gifts import waiting


@click.group()
def gifts() -> None:
    """Coins that users give to each other."""


@gifts.command("waiting")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
def list_waiting(limit: int) -> None:
    """Gifts that are under way for more than ten minutes, and refunds whose given coins are still asked for, oldest
    first. Both go on by themselves; the log says what stops them (`gift_cannot_return`, `due_work_failed`)."""
    answer = waiting.list_waiting_gifts(house().core, limit)
    found = answer.found
    for row in found.gifts:
        click.echo(
            f"gift {row.id}  {row.created_at:%Y-%m-%d %H:%M:%S}  {row.amount} {row.asset} ({row.environment})"
            f"  {row.giver} to {row.receiver}  tried {row.tries} times, next {row.next_try_at:%Y-%m-%d %H:%M:%S}"
        )
    for row in found.recalls:
        click.echo(
            f"recall {row.id}  {row.created_at:%Y-%m-%d %H:%M:%S}  {row.taken} of {row.wanted} {row.asset}"
            f" ({row.environment})  payment={row.payment_id}  asks {', '.join(row.places[:5]) or '-'}"
        )
    end_as_whole(answer.missing)
