"""The subcommands for wallets of users."""

from __future__ import annotations

from functools import partial
from operator import attrgetter

import click

from app.cli.house import house
from app.cli.lists import list_options, rows_of, span_of, time_options, write_list
from app.cli.openings import import_wallets
from app.domain import list_tables
from app.domain.numbers import slot_of_user
from app.services.base.errors import NotFound
from app.services.ledger import freezes, wallet_lists
from app.services.ledger.wallet_lists import HoldFilter, HoldState, ListedHold


@click.group()
def wallets() -> None:
    """Wallets of users: what they had before, freezing them, who did so, and what is reserved in them."""


def _freezing(name: str, done: str) -> None:
    """`freeze` and `unfreeze` differ in nothing else."""

    @wallets.command(name)
    @click.argument("user")
    @click.option("--asset", help="Only this one; every wallet of the environment if not given.")
    @click.option("--environment", type=click.Choice(["live", "sandbox"]), default="live", show_default=True)
    @click.option("--reason", required=True)
    @click.option("--actor", required=True, help="Who you are.")
    def command(user: str, asset: str | None, environment: str, reason: str, actor: str) -> None:
        core = house().core
        wanted = freezes.Change(user, environment, asset, name == "freeze", reason, f"operator:{actor}")
        try:
            core.of_user(user).transact(lambda tx: freezes.apply(tx, slot_of_user(user), wanted))
        except NotFound:
            raise click.ClickException(f"{user} has no wallet in {environment}") from None
        click.echo(f"{user}: {done}")

    command.help = f"{name.capitalize()} the wallets of USER. It is written down who did it and why."


wallets.add_command(import_wallets)
_freezing("freeze", "frozen: spends are refused, credits still come in")
_freezing("unfreeze", "unfrozen")


@wallets.command("history")
@click.argument("user")
def freezing_history(user: str) -> None:
    """Who froze and unfroze the wallets of USER."""
    for row in rows_of(partial(freezes.history, house().core, user), None):
        what = f"{row.asset or 'all'} {'frozen' if row.frozen else 'unfrozen'}"
        click.echo(f"{row.at:%Y-%m-%d %H:%M:%S}  {row.environment}  {what} by {row.actor}: {row.reason}")


@wallets.command("holds")
@click.argument("user")
@click.option("--state", type=click.Choice(["open", "captured", "released", "expired"]))
@time_options
@list_options
def list_holds(
    user: str, state: HoldState | None, since: str | None, until: str | None, limit: int | None, as_csv: bool
) -> None:
    """What is and was reserved in the wallets of USER, newest first."""
    core = house().core
    wanted = HoldFilter(user, state, made=span_of(since, until))
    write_list(
        partial(wallet_lists.list_holds, core, wanted),
        limit,
        _hold_line,
        (list_tables.HOLD_COLUMNS, attrgetter(*list_tables.HOLD_COLUMNS)) if as_csv else None,
    )


def _hold_line(hold: ListedHold) -> str:
    return (
        f"{hold.id}  {hold.created_at:%Y-%m-%d %H:%M:%S}  {hold.environment}  {hold.state}  {hold.amount} {hold.asset}"
        f"  rest={hold.rest} until={hold.expires_at:%Y-%m-%d %H:%M:%S}  by {hold.actor or '-'}  {hold.reference}"
    ).rstrip()
