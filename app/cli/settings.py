"""The subcommand about settings: whether the service can work with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.cli.house import house
from app.cli.provider_accounts import WARN_DAYS, account_lines
from app.cli.verdict import Verdict, VerdictLine
from app.composition import PRIVATE, House
from app.config import Settings, load, load_serving
from app.domain.slot_map import ranges_of, text_of_ranges
from app.models import schema
from app.models.base import AnyRow
from app.models.distribution import not_distributed
from app.models.engine import unheeded_settings
from app.providers.errors import ProviderError
from app.services.accounts.api_keys import is_genuine, list_keys
from app.services.base.replica import Replica, ReportsUnavailable
from app.services.events import endpoints
from app.services.finance.bill_sums import zones_of_bills
from app.services.moves.slot_moves import unfinished_move
from app.web.access import KeySet, KeysUnavailable


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
    kinds: tuple[Callable[[_Checked], Iterator[VerdictLine]], ...] = (
        _credentials,
        _provider_accounts,
        _zone,
        _endpoints,
    )
    for line in (*database, *(line for kind in kinds for line in kind(checked))):
        click.echo(f"{line.verdict.value:<8} {line.text}")
        failed += line.verdict is Verdict.FAIL
    if failed:
        raise click.ClickException(f"{failed} of these cannot work")


def _database(checked: _Checked) -> Iterator[VerdictLine]:
    for name, engine in checked.parts.engines.items():
        yield from _one_database(f"database {name}" if checked.settings.databases else "database", engine, checked)
    if checked.settings.databases and _is_migrated(checked):
        yield from _move(checked)
    yield from _replica(checked.parts.core.replica)
    home = checked.parts.engine
    if home.dialect.name == "sqlite" and not {"database_url", "databases"} & checked.settings.model_fields_set:
        verdict = Verdict.WARNING if checked.in_production else Verdict.OK
        yield VerdictLine(verdict, f"database: no database_url is set, so it is the file {home.url.database}")


def _one_database(what: str, engine: Engine, checked: _Checked) -> Iterator[VerdictLine]:
    """Whether it answers at the newest schema. A database that bears another map is refused before (`SlotMapDiffers`),
    and without home nothing is checked."""
    try:
        at, wanted = schema.current(engine), schema.newest()
    except (DBAPIError, PoolTimeout) as error:
        if engine is checked.parts.engine:
            raise
        yield VerdictLine(Verdict.FAIL, f"{what}: it does not answer ({type(error).__name__})")
        return
    text = f"{what}: {engine.dialect.name}, schema {at or 'empty'} (newest {wanted})"
    if checked.settings.databases and checked.parts.maps is not None:
        ranges = checked.parts.maps.map.ranges(what.removeprefix("database "))
        text += f", slots {text_of_ranges(ranges) or 'none'}"
    if at != wanted:
        yield VerdictLine(Verdict.FAIL, f"{text}: the schema is not the newest: run `tillbook migrate`")
    else:
        yield VerdictLine(Verdict.OK, text)
    with engine.connect() as connection:
        missing, unheeded = not_distributed(connection), unheeded_settings(connection)
    if unheeded:
        text = f"{what}: a pooler does not hand on {', '.join(unheeded)}: give them to the role (`ALTER ROLE … SET …`)"
        yield VerdictLine(Verdict.WARNING, text)
    if missing:
        yield VerdictLine(Verdict.FAIL, f"{what}: not on the nodes: {', '.join(missing)}: run `tillbook distribute`")
    if engine.dialect.name == "sqlite":
        yield from _rights_of_file(what, Path(engine.url.database or ""))


def _move(checked: _Checked) -> Iterator[VerdictLine]:
    """Users of frozen slots are not served until the move goes on."""
    move = checked.parts.core.home.read(unfinished_move)
    if move is not None and checked.parts.maps is not None:
        frozen = text_of_ranges(ranges_of(checked.parts.maps.map.frozen)) or "none"
        text = f"slots: the move of {move.slots} to {move.target} has not ended (frozen: {frozen})"
        yield VerdictLine(Verdict.WARNING, f"{text}: `tillbook slots move {move.slots} --to {move.target}` goes on")


def _replica(replica: Replica | None) -> Iterator[VerdictLine]:
    """Without it the service works, but for reports."""
    if replica is None:
        return
    try:
        replica.check_usable()
        lag = replica.lag_seconds()
    except ReportsUnavailable as error:
        yield VerdictLine(Verdict.WARNING, f"database for reports: {error.detail}, so there are no reports")
        return
    behind = "how far it is behind cannot be seen" if lag is None else f"{lag:.1f} s behind"
    kinds = ", ".join(engine.dialect.name for engine in replica.engines.values())
    yield VerdictLine(Verdict.OK, f"database for reports: {kinds}, {behind}")


def _rights_of_file(what: str, file: Path) -> Iterator[VerdictLine]:
    if file.is_file() and file.stat().st_mode & 0o077:
        yield VerdictLine(Verdict.WARNING, f"{what}: others can read {file}: run `chmod {PRIVATE:o}` on it")


def _credentials(checked: _Checked) -> Iterator[VerdictLine]:
    jwt, rows = checked.settings.user_jwt, [row for row in _keys_in_database(checked) if row.revoked_at is None]
    keys = bool(checked.settings.api_keys or rows)
    if jwt is None:
        nobody = checked.in_production and not keys
        text = "user tokens: there is no [user_jwt], so no user can order or see a wallet"
        text += "; only the backend can, by its API key" if keys else ": write [user_jwt]"
        yield VerdictLine(Verdict.FAIL if nobody else Verdict.WARNING, text)
    elif jwt.jwks_url:
        yield _key_set(jwt.jwks_url, jwt.algorithm)
    else:
        others = len(jwt.other_secrets) + len(jwt.other_public_keys)
        more = f" and {others} more" if others else ""
        kind = "secret" if jwt.secret else "key"
        yield VerdictLine(Verdict.OK, f"user tokens: {jwt.algorithm}, with the {kind} given here{more}")
    if jwt is not None and jwt.audience is None:
        yield VerdictLine(
            Verdict.WARNING, "user tokens: no audience is set, so tokens made for another service pass, too"
        )
    yield from _api_keys(checked, rows)


def _api_keys(checked: _Checked, rows: Sequence[AnyRow]) -> Iterator[VerdictLine]:
    """The keys in the settings, and those of the database that are not revoked."""
    settings, now = checked.settings, checked.parts.core.clock.now()
    if settings.api_keys:
        yield VerdictLine(Verdict.OK, f"API keys: {', '.join(sorted(settings.api_keys))}")
    if rows:
        yield VerdictLine(Verdict.OK, f"API keys in the database: {', '.join(sorted(row.name for row in rows))}")
    elif not settings.api_keys:
        yield VerdictLine(Verdict.WARNING, "API keys: there is none, so nobody can spend (`tillbook keys new`)")
    for row in rows:
        if not is_genuine(checked.parts.core.rules.ledger.seals, row):
            text = f"API key {row.name}: its seal is of no key in [audit], so it is refused: make a new one, revoke it"
            yield VerdictLine(Verdict.FAIL, text)
    ends = {**{name: key.expires_at for name, key in settings.api_keys.items()}, **{r.name: r.expires_at for r in rows}}
    for name, end in sorted(ends.items()):
        if end is not None and end <= now + timedelta(days=WARN_DAYS):
            yield VerdictLine(
                Verdict.WARNING, f"API key {name}: it ends at {end:%Y-%m-%d %H:%M} UTC: give its caller another"
            )
    calling = {key.caller or name for name, key in settings.api_keys.items()} | {row.caller for row in rows}
    for name in sorted(settings.callers.keys() - calling):
        yield VerdictLine(Verdict.WARNING, f"callers.{name}: no API key is of this caller, so its caps hold nobody")


def _keys_in_database(checked: _Checked) -> Sequence[AnyRow]:
    """None where the database has another schema: that is told by a line of its own."""
    engine = checked.parts.engine
    return checked.parts.core.home.read(list_keys) if schema.current(engine) == schema.newest() else ()


def _key_set(url: str, algorithm: str) -> VerdictLine:
    """The keys are fetched once, as the service does it for a token."""
    try:
        KeySet(url).key("")
    except (KeysUnavailable, ProviderError):
        return VerdictLine(Verdict.FAIL, f"user tokens: {url} gives no key set (the log line above says why)")
    return VerdictLine(Verdict.OK, f"user tokens: {algorithm}, with the keys at {url}")


def _provider_accounts(checked: _Checked) -> Iterator[VerdictLine]:
    accounts, now = list(checked.parts.core.registry), checked.parts.core.clock.now()
    for account in accounts:
        yield from account_lines(checked.settings, account, now)
    if not accounts:
        yield VerdictLine(Verdict.WARNING, "provider accounts: there is none, so nothing can be paid")
    elif checked.in_production and not any(account.live for account in accounts):
        yield VerdictLine(
            Verdict.FAIL, "provider accounts: none is live, though env is production: nobody pays real money"
        )


def _zone(checked: _Checked) -> Iterator[VerdictLine]:
    """Months of UTC are hardly meant by a company whose providers count in days of another zone."""
    if "zone" in checked.settings.ledger.model_fields_set or not _is_migrated(checked):
        return
    zones = checked.parts.core.home.read(zones_of_bills)
    others = [f"{account} ({zone})" for account, zone in zones.items() if zone.key != checked.settings.ledger.zone]
    if others:
        text = "[ledger] zone: not set, so days and months are those of UTC; those of the bills are not:"
        yield VerdictLine(Verdict.WARNING, f"{text} {', '.join(others)}. Set it before a month is closed")


def _is_migrated(checked: _Checked) -> bool:
    return schema.current(checked.parts.engine) == schema.newest()


def _endpoints(checked: _Checked) -> Iterator[VerdictLine]:
    """Those that have rows; those that the settings name get theirs from the worker."""
    if not _is_migrated(checked):
        return
    answer = checked.parts.core.what_answers(endpoints.shown_endpoints)
    if answer.missing:  # a line of its own says how each of them is
        yield VerdictLine(Verdict.FAIL, f"endpoints: {', '.join(answer.missing)} could not be asked")
    for each in answer.found:
        text = f"endpoint {each['name']}: {each['status']}"
        if each["status"] == "paused":
            said = f"since {each['paused_at']:%Y-%m-%d %H:%M} by {each['paused_by']}: {each['reason']}"
            yield VerdictLine(Verdict.WARNING, f"{text} {said} (`tillbook endpoints resume {each['name']}`)")
        elif each["status"] == "failing":
            since = f"has taken nothing since {each['failing_since']:%Y-%m-%d %H:%M}"
            yield VerdictLine(Verdict.WARNING, f"{text}, {since} ({each['failures']} attempts)")
        else:
            yield VerdictLine(Verdict.OK, text)
