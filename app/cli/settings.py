"""The subcommands about settings: whether they can work, and new API keys."""

from __future__ import annotations

import hashlib
import secrets

import click

from app.cli.house import house
from app.config import API_KEY_PREFIX, SCOPES
from app.models import schema


@click.command()
def check() -> None:
    """Check settings, provider accounts, database and schema; exits 1 if something cannot work."""
    parts = house()
    at, wanted = schema.current(parts.engine), schema.newest()
    click.echo(f"database: {parts.engine.dialect.name}, schema {at or 'empty'} (newest {wanted})")
    for account in parts.core.registry:
        click.echo(f"provider account {account.name}: {account.plugin}, {'live' if account.live else 'sandbox'}")
    if at != wanted:
        raise click.ClickException("the schema is not the newest: run `tillbook migrate`")


@click.group()
def keys() -> None:
    """API keys of the app's backend."""


@keys.command("new")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(sorted(SCOPES)))
def new_key(name: str, scopes: tuple[str, ...]) -> None:
    """Make an API key. The key itself is shown once and kept nowhere; the settings hold its SHA-256."""
    key = API_KEY_PREFIX + secrets.token_urlsafe(32)
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    click.echo(f"key (give it to the backend): {key}")
    click.echo(f'[api_keys.{name}]\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\nscopes = [{listed}]')
