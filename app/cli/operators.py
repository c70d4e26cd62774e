"""The subcommands for the people who may sign in to the console."""

from __future__ import annotations

from collections.abc import Callable

import click

from app.cli.house import house
from app.config import load
from app.services.accounts import operators as accounts_of_operators
from app.services.accounts.api_keys import NotChanged
from app.services.accounts.operators import NAME, ROLES, CodeSecrets, Credentials
from app.services.base.context import Tx

_role = click.option("--role", "roles", multiple=True, type=click.Choice(ROLES))
_actor = click.option("--actor", required=True, help="Who you are.")


@click.group()
def operators() -> None:
    """The people who may sign in to the console."""


@operators.command("new")
@click.argument("name")
@_role
@_actor
def new_operator(name: str, roles: tuple[str, ...], actor: str) -> None:
    """Make an operator. The password and the address for an authenticator are shown once and kept nowhere."""
    if not NAME.fullmatch(name):
        raise click.BadParameter(f"not a name: a-z, 0-9, - and _, 32 at most: {name}")
    if not roles:
        raise click.UsageError(f"an operator needs --role: {' or '.join(ROLES)}, or both")
    keys = _keys()
    _tell(name, lambda tx: accounts_of_operators.add_operator(tx, name, frozenset(roles), _by(actor), keys))


@operators.command("renew")
@click.argument("name")
@_role
@_actor
def renew_operator(name: str, roles: tuple[str, ...], actor: str) -> None:
    """Give an operator a new password and a new secret for codes, and other roles if --role is given. Sessions of the
    operator are over. An operator who was ended can sign in again."""
    keys, wanted = _keys(), frozenset(roles) or None
    _tell(name, lambda tx: accounts_of_operators.renew_operator(tx, name, wanted, _by(actor), keys))


@operators.command("end")
@click.argument("name")
@_actor
def end_operator(name: str, actor: str) -> None:
    """Let an operator sign in no more. Sessions of the operator are over at once."""
    try:
        house().core.home.transact(lambda tx: accounts_of_operators.end_operator(tx, name, _by(actor)))
    except NotChanged as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name}: ended")


@operators.command("list")
def list_operators() -> None:
    """Every operator: roles, who made the operator, and when the operator signed in last."""
    core = house().core
    for row in core.home.read(accounts_of_operators.list_operators):
        last = f"{row.signed_in_at:%Y-%m-%d %H:%M} UTC" if row.signed_in_at else "never"
        ended = f"  ended {row.ended_at:%Y-%m-%d %H:%M} UTC by {row.ended_by}" if row.ended_at else ""
        if not accounts_of_operators.is_sealed(core.rules.ledger.seals, row):
            ended = "  refused: its seal is of no key in [audit]"
        click.echo(f"{row.name}  {','.join(row.roles)}  made by {row.made_by}  last signed in {last}{ended}")


def _tell(name: str, work: Callable[[Tx], Credentials]) -> None:
    try:
        told = house().core.home.transact(work)
    except NotChanged as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name}: may sign in at /console/", err=True)
    click.echo(f"password: {told.password}")
    click.echo(f"authenticator: {told.address}")


def _keys() -> CodeSecrets:
    found = load().console.secrets
    if not found:
        raise click.ClickException("there is no console: set console.secret_key (32 characters or more)")
    return CodeSecrets(found)


def _by(actor: str) -> str:
    return f"operator:{actor[:128]}"
