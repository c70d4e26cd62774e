"""The subcommands for reading providers' histories: how far each is read, and going on behind what cannot be read."""

from __future__ import annotations

import click

from app.cli.house import end_as_whole, house
from app.services.base.errors import NotFound
from app.services.calls import scans as histories
from app.services.facts import parked


@click.group()
def scans() -> None:
    """Histories and bills of providers, as the worker reads them."""


@scans.command("list")
def list_scans() -> None:
    """Each feed: the window that is read or was read last, why it stands still if it does, and when it is next read.

    Below, for each provider account, how many facts in them were about nothing here.
    """
    core = house().core
    for row in core.home.read(histories.list_feeds):
        state = "complete" if row.cursor is None else f"reading at {row.cursor or 'the start'}"
        trouble = f"  failed {row.tries} times: {row.problem}" if row.problem else ""
        click.echo(
            f"{row.provider_account}  {row.feed}  {row.since:%Y-%m-%d %H:%M} to {row.until:%Y-%m-%d %H:%M}  {state}"
            f"  next {row.next_at:%Y-%m-%d %H:%M}{trouble}"
        )
    answer = core.what_answers(parked.counts_not_ours)
    for account, count in sorted(answer.found.items()):
        click.echo(f"{account}  not ours: {count}")
    end_as_whole(answer.missing)


@scans.command("skip")
@click.argument("account")
@click.argument("feed")
@click.option("--actor", required=True, help="Who you are.")
@click.option("--reason", required=True)
def skip_window(account: str, feed: str, actor: str, reason: str) -> None:
    """Leave the rest of the window that is being read, and go on behind it.

    Who left it and why is written down. `tillbook messages replay` with the number that is shown reads it once more.
    """
    try:
        number = histories.skip(house().core, account, feed, actor=f"operator:{actor}", reason=reason)
    except NotFound as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{account} {feed}: left, message {number}")
