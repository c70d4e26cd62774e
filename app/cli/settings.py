"""The subcommands about settings: whether the service can work with them, and new API keys."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from app.cli.house import house
from app.cli.provider_accounts import account_lines
from app.cli.verdict import Line, Verdict
from app.composition import PRIVATE, House, database_url
from app.config import API_KEY_PREFIX, SCOPES, Settings, load, load_serving
from app.models import schema
from app.providers.errors import ProviderError
from app.services.events import endpoints
from app.web.access import KeySet, KeysUnavailable

LONGEST_NAME = 32
_IN_NO_NAME = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class _Checked:
    settings: Settings
    parts: House

    @property
    def in_production(self) -> bool:
        return self.settings.env == "production"


@click.command()
def check() -> None:
    """Check settings, user tokens, provider accounts, database and schema, and say what was checked.

    Each line begins with `ok`, `warning` or `FAIL`. Exits 1 if something cannot work.
    """
    settings = load()
    serving = load_serving()
    checked = _Checked(settings, house())
    database = list(_database(checked))  # first: without it nothing else is worth a line
    click.echo(f"ok       settings: env {settings.env}, {serving.bind}, {serving.web_workers} web processes")
    failed = 0
    kinds: tuple[Callable[[_Checked], Iterator[Line]], ...] = (_credentials, _provider_accounts, _endpoints)
    for line in (*database, *(line for kind in kinds for line in kind(checked))):
        click.echo(f"{line.verdict.value:<8} {line.text}")
        failed += line.verdict is Verdict.FAIL
    if failed:
        raise click.ClickException(f"{failed} of these cannot work")


def _database(checked: _Checked) -> Iterator[Line]:
    engine = checked.parts.engine
    at, wanted = schema.current(engine), schema.newest()
    text = f"database: {engine.dialect.name}, schema {at or 'empty'} (newest {wanted})"
    if at != wanted:
        yield Line(Verdict.FAIL, f"{text}: the schema is not the newest: run `tillbook migrate`")
    else:
        yield Line(Verdict.OK, text)
    if engine.dialect.name == "sqlite" and "database_url" not in checked.settings.model_fields_set:
        verdict = Verdict.WARNING if checked.in_production else Verdict.OK
        yield Line(verdict, f"database: no database_url is set, so it is the file {engine.url.database}")
    if engine.dialect.name == "sqlite":
        yield from _rights_of_file(checked)


def _rights_of_file(checked: _Checked) -> Iterator[Line]:
    file = Path(database_url(checked.settings).database or "")
    if file.is_file() and file.stat().st_mode & 0o077:
        yield Line(Verdict.WARNING, f"database: others can read {file}: run `chmod {PRIVATE:o}` on it")


def _credentials(checked: _Checked) -> Iterator[Line]:
    jwt, keys = checked.settings.user_jwt, checked.settings.api_keys
    if jwt is None:
        nobody = checked.in_production and not keys
        text = "user tokens: there is no [user_jwt], so no user can order or see a wallet"
        text += "; only the backend can, by its API key" if keys else ": write [user_jwt]"
        yield Line(Verdict.FAIL if nobody else Verdict.WARNING, text)
    elif jwt.jwks_url:
        yield _key_set(jwt.jwks_url, jwt.algorithm)
    else:
        yield Line(Verdict.OK, f"user tokens: {jwt.algorithm}, with the {'secret' if jwt.secret else 'key'} given here")
    if jwt is not None and jwt.audience is None:
        yield Line(Verdict.WARNING, "user tokens: no audience is set, so tokens made for another service pass, too")
    if keys:
        yield Line(Verdict.OK, f"API keys: {', '.join(sorted(keys))}")
    else:
        yield Line(Verdict.WARNING, "API keys: there is none, so nobody can spend (`tillbook keys new`)")


def _key_set(url: str, algorithm: str) -> Line:
    """The keys are fetched once, as the service does it for a token."""
    try:
        KeySet(url).key("")
    except (KeysUnavailable, ProviderError):
        return Line(Verdict.FAIL, f"user tokens: {url} gives no key set (the log line above says why)")
    return Line(Verdict.OK, f"user tokens: {algorithm}, with the keys at {url}")


def _provider_accounts(checked: _Checked) -> Iterator[Line]:
    accounts, now = list(checked.parts.core.registry), checked.parts.core.clock.now()
    for account in accounts:
        yield from account_lines(checked.settings, account, now)
    if not accounts:
        yield Line(Verdict.WARNING, "provider accounts: there is none, so nothing can be paid")
    elif checked.in_production and not any(account.live for account in accounts):
        yield Line(Verdict.FAIL, "provider accounts: none is live, though env is production: nobody pays real money")


def _endpoints(checked: _Checked) -> Iterator[Line]:
    """Those that have rows; those that the settings name get theirs from the worker."""
    engine = checked.parts.engine
    if schema.current(engine) != schema.newest():
        return
    for each in checked.parts.core.read(endpoints.shown_endpoints):
        text = f"endpoint {each['name']}: {each['status']}"
        if each["status"] == "paused":
            said = f"since {each['paused_at']:%Y-%m-%d %H:%M} by {each['paused_by']}: {each['reason']}"
            yield Line(Verdict.WARNING, f"{text} {said} (`tillbook endpoints resume {each['name']}`)")
        elif each["status"] == "failing":
            since = f"has taken nothing since {each['failing_since']:%Y-%m-%d %H:%M}"
            yield Line(Verdict.WARNING, f"{text}, {since} ({each['failures']} attempts)")
        else:
            yield Line(Verdict.OK, text)


@click.group()
def keys() -> None:
    """API keys of the app's backend."""


@keys.command("new")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(sorted(SCOPES)))
def new_key(name: str, scopes: tuple[str, ...]) -> None:
    """Make an API key. The key itself is shown once and kept nowhere; the settings hold its SHA-256.

    The table for the settings goes to standard output, as TOML; the key goes to standard error.
    """
    key = API_KEY_PREFIX + secrets.token_urlsafe(32)
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    written = _as_name(name)
    if written != name:
        click.echo(f"# the settings call it {written}: a-z, 0-9, - and _, {LONGEST_NAME} at most", err=True)
    click.echo(f"# key (give it to the backend): {key}", err=True)
    click.echo(f'[api_keys.{written}]\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\nscopes = [{listed}]')


def _as_name(given: str) -> str:
    """The nearest name that the settings take, which is a bare key of TOML."""
    return _IN_NO_NAME.sub("-", given.lower()).strip("-_")[:LONGEST_NAME].rstrip("-_") or "backend"
