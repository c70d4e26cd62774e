"""The subcommands for wallets of users."""

from __future__ import annotations

import click

from app.cli.house import house
from app.domain.numbers import slot_of_user
from app.services.accounts import freezes
from app.services.base.errors import NotFound


@click.group()
def wallets() -> None:
    """Wallets of users: freezing them, and who did so."""


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
            core.transact(lambda session: freezes.apply(session, slot_of_user(user), wanted))
        except NotFound:
            raise click.ClickException(f"{user} has no wallet in {environment}") from None
        click.echo(f"{user}: {done}")

    command.help = f"{name.capitalize()} the wallets of USER. It is written down who did it and why."


_freezing("freeze", "frozen: spends are refused, credits still come in")
_freezing("unfreeze", "unfrozen")


@wallets.command("history")
@click.argument("user")
def freezing_history(user: str) -> None:
    """Who froze and unfroze the wallets of USER."""
    for row in freezes.history(house().core, user):
        what = f"{row.asset or 'all'} {'frozen' if row.frozen else 'unfrozen'}"
        click.echo(f"{row.at:%Y-%m-%d %H:%M:%S}  {row.environment}  {what} by {row.actor}: {row.reason}")
