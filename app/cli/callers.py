"""The subcommands for who may call from the app's backend: callers, their API keys, and their caps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import click

from app.cli.house import given_moment, house
from app.composition import House
from app.config import API_KEY_PREFIX, SCOPES, load
from app.domain.caps import CURRENCY_PATTERN, EVERY, REFUNDS, UNIT_PATTERN, VERBS, Cap, Caps
from app.services.accounts import api_keys
from app.services.accounts.api_keys import NewKey, NotChanged
from app.services.base.context import Tx

LONGEST_CALLER = 32
_IN_NO_NAME = re.compile(r"[^a-z0-9_-]+")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Listed:
    """One API key, wherever it is."""

    name: str
    caller: str
    sha256: str
    scopes: frozenset[str]
    place: str
    expires_at: datetime | None
    ended: str = ""
    """Why it is refused; empty if it is not."""


@click.group()
def keys() -> None:
    """API keys of the app's backend."""


@keys.command("new")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(sorted(SCOPES)))
@click.option("--caller", help="Whose key it is; the name of the key if not given.")
@click.option("--expires-at", help="ISO 8601 with its zone: from then on the key is refused.")
@click.option("--in-database", is_flag=True, help="Keep it in the database: it counts at once, without a new start.")
@click.option("--actor", help="Who you are; needed with --in-database.")
def new_key(
    name: str, scopes: tuple[str, ...], caller: str | None, expires_at: str | None, in_database: bool, actor: str | None
) -> None:
    """Make an API key. The key itself is shown once and kept nowhere; what is kept is its SHA-256.

    Without --in-database the table for the settings goes to standard output, as TOML; the key goes to standard error.
    """
    key, ends = api_keys.make_secret(API_KEY_PREFIX), given_moment(expires_at) if expires_at else None
    if in_database:
        _keep(NewKey(_checked_name(name), caller or name, frozenset(scopes), ends, _operator(actor)), key)
        click.echo(f"# key (give it to the backend): {key}", err=True)
        return
    written, digest = _as_name(name), api_keys.digest_of_key(key)
    if written != name:
        click.echo(f"# the settings call it {written}: a-z, 0-9, - and _, {LONGEST_CALLER} at most", err=True)
    click.echo(f"# key (give it to the backend): {key}", err=True)
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    click.echo(f'[api_keys.{written}]\nsha256 = "{digest}"\nscopes = [{listed}]')
    if caller is not None:
        click.echo(f'caller = "{_checked_name(caller)}"')
    if ends is not None:
        click.echo(f"expires_at = {ends.isoformat()}")


def _keep(wanted: NewKey, key: str) -> None:
    in_settings = load().api_keys
    if wanted.name in in_settings:
        raise click.ClickException(f"the settings have an API key {wanted.name}: take another name")
    callers_there = {each.caller or name for name, each in in_settings.items()}

    def work(tx: Tx) -> None:
        if wanted.caller in callers_there:
            api_keys.add_caller(tx, wanted.caller, wanted.made_by)
        elif not api_keys.is_caller(tx, wanted.caller):
            raise NotChanged(f"there is no caller {wanted.caller}: `tillbook callers new {wanted.caller}` makes it")
        api_keys.add_key(tx, wanted, api_keys.digest_of_key(key))

    _changed(work)
    click.echo(f"{wanted.name}: API key of {wanted.caller}, in the database")


@keys.command("list")
def list_keys() -> None:
    """Every API key, in the settings and in the database, by caller: scopes, expiry, and when it was used last."""
    parts = house()
    found = sorted(_all_keys(parts), key=lambda each: (each.caller, each.name))
    used = parts.core.home.read(lambda tx: api_keys.last_uses(tx, [each.sha256 for each in found]))
    for each in found:
        last = used.get(each.sha256)
        click.echo(
            f"{each.caller}  {each.name}  {each.place}  {','.join(sorted(each.scopes)) or '-'}"
            f"  expires {_time(each.expires_at)}  last used {_time(last)}{f'  {each.ended}' if each.ended else ''}"
        )


@keys.command("revoke")
@click.argument("name")
@click.option("--actor", required=True, help="Who you are.")
def revoke_key(name: str, actor: str) -> None:
    """End an API key for ever, in the settings or in the database. Every web process refuses it within ten seconds."""
    given = load().api_keys.get(name)

    def work(tx: Tx) -> None:
        if given is None:
            api_keys.revoke(tx, name, _operator(actor))
            return
        key = NewKey(name, given.caller or name, given.scopes, given.expires_at, _operator(actor))
        api_keys.revoke_in_settings(tx, key, given.sha256)

    _changed(work)
    rest = "" if given is None else "; take it out of the settings at the next change"
    click.echo(f"{name}: revoked{rest}")


@click.group()
def callers() -> None:
    """Callers: the backends that have API keys, and what each may do at the most."""


@callers.command("new")
@click.argument("name")
@click.option("--actor", required=True, help="Who you are.")
def new_caller(name: str, actor: str) -> None:
    """Make a caller, before its first API key in the database."""
    if not _changed(lambda tx: api_keys.add_caller(tx, _checked_name(name), _operator(actor))):
        raise click.ClickException(f"there is a caller {name} already")
    click.echo(f"{name}: made; `tillbook keys new … --caller {name} --in-database` gives it a key")


@callers.command("list")
def list_callers() -> None:
    """Every caller with its API keys and its caps. Where settings and database both have a cap, the stricter counts."""
    parts, settings = house(), load()
    names = {row.name for row in parts.core.home.read(api_keys.list_callers)} | set(settings.callers)
    of_database = parts.core.home.read(api_keys.caps_by_caller)
    found = list(_all_keys(parts))
    for name in sorted(names | {each.caller for each in found}):
        mine = sorted(each.name for each in found if each.caller == name and not each.ended)
        click.echo(f"{name}  keys: {', '.join(mine) or '-'}")
        if name in settings.callers:
            _show_caps(settings.callers[name].caps(), "settings")
        _show_caps(of_database.get(name, {}), "database")


@callers.command("cap")
@click.argument("name")
@click.option("--on", "verb", required=True, type=click.Choice(VERBS))
@click.option(
    "--unit", default=EVERY, show_default=True, help="Asset (grants, debits) or currency (refunds); * is each."
)
@click.option("--per-call", type=click.IntRange(0, 2**63 - 1), help="The most in one request.")
@click.option("--per-day", type=click.IntRange(0, 2**63 - 1), help="The most in one day.")
@click.option("--actor", required=True, help="Who you are.")
def cap_caller(name: str, verb: str, unit: str, per_call: int | None, per_day: int | None, actor: str) -> None:
    """Set what a caller may do at the most, in place of its cap for that unit; without numbers the cap is taken away.

    A cap in the settings cannot be raised here.
    """
    if not re.fullmatch(CURRENCY_PATTERN if verb == REFUNDS else UNIT_PATTERN, unit):
        raise click.BadParameter(f"not {'a currency' if verb == REFUNDS else 'an asset'}: {unit}")
    in_settings = {each.caller or key for key, each in load().api_keys.items()}

    def work(tx: Tx) -> None:
        if name in in_settings:
            api_keys.add_caller(tx, name, _operator(actor))
        elif not api_keys.is_caller(tx, name):
            raise NotChanged(f"there is no caller {name}")
        api_keys.set_cap(tx, name, verb, unit, Cap(per_call, per_day), _operator(actor))

    _changed(work)
    click.echo(f"{name}: {verb} of {unit}: {_words(Cap(per_call, per_day))}")


def _all_keys(parts: House) -> Iterator[_Listed]:
    settings, seals, now = load(), parts.core.rules.ledger.seals, parts.core.clock.now()
    rows = parts.core.home.read(api_keys.list_keys)
    revoked = {row.sha256 for row in rows if row.revoked_at is not None}
    for name, key in settings.api_keys.items():
        ended = "revoked" if key.sha256 in revoked else _end(key.expires_at, now)
        yield _Listed(name, key.caller or name, key.sha256, key.scopes, "settings", key.expires_at, ended)
    in_settings = {key.sha256 for key in settings.api_keys.values()}
    for row in rows:
        if row.sha256 in in_settings:
            continue
        ended = _end(row.expires_at, now)
        if row.revoked_at is not None:
            ended = f"revoked {_time(row.revoked_at)} by {row.revoked_by}"
        elif not api_keys.is_genuine(seals, row):
            ended = "refused: its seal is of no key in [audit]"
        yield _Listed(row.name, row.caller, row.sha256, frozenset(row.scopes), "database", row.expires_at, ended)


def _end(expires_at: datetime | None, now: datetime) -> str:
    return "expired" if expires_at is not None and expires_at <= now else ""


def _changed(work: Callable[[Tx], T]) -> T:
    """Run a change in one transaction; why it was not done is told as a command's error."""
    try:
        return house().core.home.transact(work)
    except NotChanged as error:
        raise click.ClickException(str(error)) from None


def _show_caps(caps: Caps, place: str) -> None:
    for (verb, unit), cap in sorted(caps.items()):
        click.echo(f"  {verb} of {unit}: {_words(cap)} ({place})")


def _words(cap: Cap) -> str:
    limits = [f"{most} a {what}" for most, what in ((cap.per_call, "call"), (cap.per_day, "day")) if most is not None]
    return ", ".join(limits) or "no cap"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never"


def _operator(actor: str | None) -> str:
    if not actor:
        raise click.UsageError("--in-database needs --actor: who you are")
    return f"operator:{actor[:128]}"


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise click.BadParameter(f"not a name: a-z, 0-9, - and _, {LONGEST_CALLER} at most: {name}")
    return name


def _as_name(given: str) -> str:
    """The nearest name that the settings take, which is a bare key of TOML."""
    return _IN_NO_NAME.sub("-", given.lower()).strip("-_")[:LONGEST_CALLER].rstrip("-_") or "backend"
