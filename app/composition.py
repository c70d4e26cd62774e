"""Puts the parts together, for the web process, the worker and the command line alike."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import sessionmaker

from app.config import BadSettings, Settings
from app.domain.deciding import PaymentPolicy
from app.domain.numbers import NumberSource
from app.domain.schedule import AskRules
from app.domain.slot_map import ONLY_DATABASE
from app.models.engine import engine_options, prepare, prepare_reader
from app.providers.http import RequestsClient
from app.providers.registry import Registry, build_accounts
from app.providers.tools import Clock, Tools
from app.providers.verbs import least_seconds
from app.services.accounts.provider_keys import COPY_SECONDS, DatabaseKeys
from app.services.base.context import Core, ProviderClock, Rules, SystemClock
from app.services.base.databases import Databases, OneDatabase, SharedSlots
from app.services.base.moved_clock import MovedClock
from app.services.base.replica import Replica
from app.services.base.slot_maps import SlotMaps
from app.services.base.transaction import Sessions

PRIVATE = 0o600
"""Rights of a database file: wallets and purchases are nobody else's business."""


@dataclass(frozen=True, slots=True)
class House:
    """A process's parts. `keys` are the key stores to keep fresh, by provider account."""

    core: Core
    engine: Engine
    """Of the database that is home."""
    keys: dict[str, DatabaseKeys]
    maps: SlotMaps | None = None
    """Which of the databases holds which slots; None where a test made the parts."""

    @property
    def engines(self) -> dict[str, Engine]:
        """Of all databases by name, home's first."""
        return {ONLY_DATABASE: self.engine} if self.maps is None else self.maps.engines

    def close(self) -> None:
        """Give all connections back."""
        for engine in self.engines.values():
            engine.dispose()
        if self.core.replica is not None:
            self.core.replica.dispose()

    def reload_keys(self) -> None:
        """Copy providers' public keys into this process, unless that was done less than a minute ago."""
        before = self.core.clock.now() - timedelta(seconds=COPY_SECONDS)
        for store in self.keys.values():
            if store.copied_at <= before:
                store.reload_if_old()


def map_is_current(house: House) -> bool:
    """Whether the slots lie where this process believes. Cheap: it looks at most every second."""
    return house.maps is None or house.maps.is_current()


def home_url(settings: Settings) -> str:
    """The URL of the database that is home, as it is configured."""
    return next(iter(settings.urls_of_databases().values()))


def database_url(settings: Settings) -> URL:
    """The URL of the database that is home; a relative SQLite file is taken from the working directory, and its folder
    is made.

    Raises BadSettings for one that cannot be read, or a folder that cannot be made.
    """
    return _usable("database_url" if not settings.databases else "databases", home_url(settings))


def _usable(name: str, text: str) -> URL:
    url = _url_of(name, text)
    if url.get_backend_name() == "sqlite" and url.database:
        file = Path(url.database).absolute()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadSettings(f"{name}: the folder {file.parent} cannot be made: {error.strerror}") from None
        _keep_private(file)
        url = url.set(database=str(file))
    return url


def _url_of(name: str, text: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        raise BadSettings(f"{name}: not a URL of a database") from None


def _keep_private(file: Path) -> None:
    """Make the file before SQLite does, for its owner only. SQLite gives its companions (-wal, -shm) the same rights.

    Where that is not possible SQLite says why when it opens the file.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))


def build_engines(settings: Settings, home: Engine | None = None) -> dict[str, Engine]:
    """The engine of each database by its name, home's first; which is this one, if given. Raises BadSettings."""
    setting = "databases" if settings.databases else "database_url"
    found: dict[str, Engine] = {}
    for name, text in settings.urls_of_databases().items():
        if home is not None and not found:
            found[name] = home
        else:
            engine = create_engine(_usable(setting, text), **engine_options(text))
            found[name] = prepare(engine, durable=settings.database_durable)
    return found


def clock_of(settings: Settings) -> Clock:
    """The machine's clock; in the demonstration and in tests perhaps one that is ahead of it. Raises BadSettings."""
    if settings.clock_offset_file is None:
        return SystemClock()
    try:
        return MovedClock.reading(settings.clock_offset_file)
    except ValueError as error:
        raise BadSettings(f"clock_offset_file: {error}") from None


def build_replica(settings: Settings) -> Replica | None:
    """The replica, unseen: whether it answers is looked at when it is needed. A file is never made here."""
    setting = "reports_url" if settings.databases else "reports_database_url"
    engines = {name: _reader(setting, text) for name, text in settings.urls_of_replicas().items()}
    return Replica(engines) if engines else None


def _reader(setting: str, text: str) -> Engine:
    url = _url_of(setting, text)
    if url.get_backend_name() == "sqlite" and url.database:
        url = url.set(database=f"file:{quote(str(Path(url.database).absolute()))}", query={"mode": "rw", "uri": "true"})
    return prepare_reader(create_engine(url, **engine_options(text, only_reads=True)))


def build_house(settings: Settings, *, engine: Engine | None = None, clock: Clock | None = None) -> House:
    """Everything but the web; `engine` is that of home. Raises BadSettings, Misconfigured when a provider account's
    settings cannot work, or SlotMapDiffers."""
    clock = clock or clock_of(settings)
    maps = SlotMaps(build_engines(settings, engine), settings.slot_map())
    maps.check_all()
    databases = databases_of_maps(maps)
    sessions = databases.home
    keys: dict[str, DatabaseKeys] = {}
    core = Core(
        databases=databases,
        registry=build_registry(settings, sessions, clock, keys),
        numbers=NumberSource(lambda: time.time_ns() // 1_000_000),
        clock=clock,
        rules=rules_of(settings),
        public_url=settings.public_url,
        replica=build_replica(settings),
    )
    return House(core, next(iter(maps.engines.values())), keys, maps)


def databases_of_maps(maps: SlotMaps) -> Databases:
    """The databases as the map says, which they follow."""
    each: list[Sessions] = [sessionmaker(engine, expire_on_commit=False) for engine in maps.engines.values()]
    if len(each) == 1:
        return OneDatabase(each[0])
    numbers = {name: number for number, name in enumerate(maps.engines)}
    shared = SharedSlots(each, [numbers[owner] for owner in maps.map.of_slot], maps.map.frozen, names=list(numbers))
    maps.on_change = lambda new: shared.take_over([numbers[owner] for owner in new.of_slot], new.frozen)
    return shared


def build_registry(settings: Settings, sessions: Sessions, clock: Clock, keys: dict[str, DatabaseKeys]) -> Registry:
    """The provider accounts, each with its own HTTP client and key store; the stores are added to `keys`."""

    def tools_for(name: str, live: bool) -> Tools:
        keys[name] = DatabaseKeys(name, lambda: sessions, clock)
        return Tools(http=RequestsClient(), clock=ProviderClock(clock), keys=keys[name], live=live)

    registry = build_accounts(settings.provider_accounts, tools_for)
    for account in registry:
        least = least_seconds(account.provider)
        if settings.order_minutes * 60 <= least:
            raise BadSettings(
                f"order_minutes: {settings.order_minutes} is too short for the provider account {account.name!r}, "
                f"which takes only payments with more than {least} seconds left; write {least // 60 + 1} or more"
            )
    return registry


def rules_of(settings: Settings) -> Rules:
    return Rules(
        policy=PaymentPolicy(late=settings.late_payment, surplus=settings.surplus_payment),
        ask=AskRules(grace_seconds=settings.grace_seconds),
        order_minutes=settings.order_minutes,
        most_open_orders=settings.most_open_orders,
        most_starts_per_minute=settings.most_starts_per_minute,
        message_days=settings.message_days,
        question_days=settings.question_days,
        call_days=settings.call_days,
        clawback=settings.clawback_policy,
        event_days=settings.events.days,
        push=settings.events.push(),
        ledger=replace(settings.ledger.rules(), seals=settings.audit.seals(), events=settings.events.told()),
        refused_fulfilment=settings.refused_fulfilment,
        recognition=settings.finance.recognition(),
        gifts=settings.gifts.rules(),
        charges=settings.agreements.rules(),
        finance=settings.finance.rules(),
        assets=settings.assets,
    )
