"""The map of the slots of this process beside those in the databases: who has another one is refused.

Each database bears its name and the whole map, with a version. A connection to a database that bears another name or
another map is closed before anybody has used it, so that no process writes where a slot is not (or not any more). What
is connected already learns of a newer map by a look at home. Where the settings do not say which slots lie where, the
newest map that a database bears is the map, and a process that meets a newer one takes it over.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, ExceptionContext, event, or_, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.domain.slot_map import SlotMap, map_of_document, text_of_ranges
from app.models.base import Base
from app.models.distribution import TableClass, class_of
from app.models.slot_guard import sweep
from app.models.slot_map import SLOT_MAP
from app.services.base.statements import Transaction, as_sqlalchemy_error
from app.services.base.upsert import insert_if_new

MAP_LOOK_SECONDS = 1.0
"""After so long every process that works knows that there is a newer map."""
_ROW = "SELECT name, version, document FROM slot_map WHERE id = 1"
_NO_TABLE = "42P01"
_DATABASE = "tillbook_database"
_log = structlog.get_logger(__name__)


class SlotMapDiffers(Exception):
    """The settings mean another map of the slots, or another database, than the one that answers."""


@dataclass(frozen=True, slots=True)
class KeptMap:
    """What a database bears."""

    name: str
    version: int
    map: SlotMap


def kept_map(connection: Any) -> KeptMap | None:
    """What the database of this connection, one of the driver's, bears; None before `tillbook migrate` has been there.
    Ends the transaction."""
    cursor = connection.cursor()
    try:
        cursor.execute(_ROW)
        row = cursor.fetchone()
    except Exception as error:
        if getattr(error, "sqlstate", None) != _NO_TABLE and "no such table" not in str(error):
            raise
        row = None
    finally:
        cursor.close()
        connection.rollback()
    if row is None:
        return None
    document = json.loads(row[2]) if isinstance(row[2], str) else row[2]
    try:
        return KeptMap(row[0], row[1], map_of_document(document))
    except ValueError as error:
        raise SlotMapDiffers(f"the database {row[0]!r} bears a map of the slots that cannot be read: {error}") from None


def check_kept(kept: KeptMap | None, name: str, wanted: SlotMap) -> None:
    """Raise SlotMapDiffers unless a database that bears this is the one that the settings call so."""
    if kept is None:
        if len(wanted.names) > 1:
            raise SlotMapDiffers(f"the database {name!r} bears no map of the slots yet: run `tillbook migrate`")
    elif kept.name != name:
        raise SlotMapDiffers(f"what the settings call the database {name!r} is the database {kept.name!r}")
    elif kept.map != wanted:
        raise SlotMapDiffers(
            f"the settings say that the slots lie so: {wanted}; the database {name!r} says, since version "
            f"{kept.version} of the map: {kept.map}. Write the settings as the databases say"
        )


class SlotMaps:
    """The databases of one process by name, home first, and the map by which it works. Threads share it.

    `wanted` is the map that the settings say: it never changes. None: the newest that the databases bear, which
    `check_all` reads first of all.
    """

    def __init__(
        self, engines: Mapping[str, Engine], wanted: SlotMap | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.engines = dict(engines)
        self.follows = wanted is None
        """Whether a newer map is taken over."""
        self.version = 0
        """Of the map that was taken over last."""
        self.on_change: Callable[[SlotMap], object] = lambda _: None
        """Is told each map that is taken over."""
        self._map = wanted
        self._clock = clock
        self._lock = threading.Lock()
        self._taking = threading.Lock()
        self._look_at = clock() + MAP_LOOK_SECONDS
        self._is_current = True
        for name, engine in self.engines.items():
            event.listen(engine, "connect", partial(self._check_connection, name=name))
            if len(self.engines) > 1:
                event.listen(engine, "handle_error", partial(_name_database, name=name))

    @property
    def map(self) -> SlotMap:
        """The map by which this process works. Raises SlotMapDiffers before any is known."""
        if self._map is None:
            raise SlotMapDiffers("no database answers that says which slots lie where, and the settings do not say so")
        return self._map

    def check_all(self) -> None:
        """Raise SlotMapDiffers if a database that answers is another one, or bears another map. One that does not
        answer is refused when it is connected to."""
        for name, engine in self.engines.items():
            try:
                self._check(name, engine)
            except (DBAPIError, PoolTimeout) as error:
                _log.warning("database_not_seen_at_start", database=name, error=type(error).__name__)

    def is_current(self) -> bool:
        """Whether home bore the map of this process when it was last looked at: MAP_LOOK_SECONDS ago at the most, or
        longer ago while home does not answer. A newer one is taken over, where the settings leave that open."""
        if self._clock() >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._is_current = self._look()
                self._look_at = self._clock() + MAP_LOOK_SECONDS
            finally:
                self._lock.release()
        return self._is_current

    def _look(self) -> bool:
        try:
            self._check(*next(iter(self.engines.items())))
        except SlotMapDiffers as error:
            _log.critical("slot_map_outdated", why=str(error))
            return False
        except (DBAPIError, PoolTimeout):
            return self._is_current
        return True

    def _check(self, name: str, engine: Engine) -> None:
        with engine.connect() as connection:
            self._meet(_kept(connection), name)

    def _meet(self, kept: KeptMap | None, name: str) -> None:
        """Raise SlotMapDiffers unless the database is the one of this name, and has this map or one to take over."""
        if not self.follows:
            check_kept(kept, name, self.map)
        elif kept is None:
            raise SlotMapDiffers(f"the database {name!r} bears no map of the slots yet: run `tillbook migrate`")
        elif kept.name != name:
            check_kept(kept, name, kept.map)
        else:
            self._take_over(kept)

    def _take_over(self, kept: KeptMap) -> None:
        """An older map is none to refuse: it is changed in one database after the other."""
        with self._taking:
            if kept.version == self.version:
                check_kept(kept, kept.name, self.map)
            if kept.version <= self.version:
                return
            home, unknown = next(iter(self.engines)), set(kept.map.of_slot) - self.engines.keys()
            if unknown or kept.map.names[0] != home:
                raise SlotMapDiffers(
                    f"the databases say, since version {kept.version} of the map, that the slots lie so: {kept.map}. "
                    f"The settings name {', '.join(self.engines)}: name all of them, home first"
                )
            self._map, self.version = kept.map, kept.version
            self.on_change(kept.map)
            _log.info("slot_map_taken_over", version=kept.version, map=str(kept.map), frozen=len(kept.map.frozen))

    def _check_connection(self, connection: Any, _: object, *, name: str) -> None:
        try:
            self._meet(kept_map(connection), name)
        except BaseException:
            with contextlib.suppress(Exception):
                connection.close()
            raise


def _name_database(context: ExceptionContext, *, name: str) -> None:
    if context.sqlalchemy_exception is not None:
        setattr(context.sqlalchemy_exception, _DATABASE, name)


def database_of_error(error: BaseException) -> str | None:
    """Which of several databases an error of SQLAlchemy's comes from; None where there is one, or it is not known."""
    found = getattr(error, _DATABASE, None)
    return None if found is None else str(found)


def newest_kept(engines: Mapping[str, Engine]) -> KeptMap:
    """What the database with the newest map bears. Raises SlotMapDiffers if none bears any."""
    found = [kept for kept in _all_kept(engines).values() if kept is not None]
    if not found:
        raise SlotMapDiffers("no database bears a map of the slots yet: write `slots` for each of [[databases]]")
    return max(found, key=lambda kept: kept.version)


def check_before_migration(engines: Mapping[str, Engine], wanted: SlotMap) -> None:
    """Raise SlotMapDiffers if one of these databases is another one, or bears another map. One without any is new."""
    for name, kept in _all_kept(engines).items():
        if kept is not None:
            check_kept(kept, name, wanted)


def write_missing(engines: Mapping[str, Engine], wanted: SlotMap) -> int:
    """Let each of these databases bear its name and the map; the version of the map. Raises SlotMapDiffers, before
    anything is written, if one bears another, or has rows of slots that are not its own."""
    check_before_migration(engines, wanted)
    found = _all_kept(engines)
    version = max((kept.version for kept in found.values() if kept is not None), default=1)
    missing = [name for name, kept in found.items() if kept is None]
    for name in missing:
        _refuse_foreign_rows(engines[name], name, wanted)
    for name in missing:
        with engines[name].begin() as connection:
            row = {"id": 1, "name": name, "version": version, "document": wanted.document}
            insert_if_new(Transaction(connection), SLOT_MAP, row)
    check_before_migration(engines, wanted)  # another one may have migrated at the same time
    return version


def _kept(connection: Connection) -> KeptMap | None:
    """Read on the driver's own connection, as where a connection begins."""
    try:
        return kept_map(connection.connection.driver_connection)
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_sqlalchemy_error(connection, _ROW, error) from error


def _all_kept(engines: Mapping[str, Engine]) -> dict[str, KeptMap | None]:
    found = {}
    for name, engine in engines.items():
        with engine.connect() as connection:
            found[name] = _kept(connection)
    return found


def _refuse_foreign_rows(engine: Engine, name: str, wanted: SlotMap) -> None:
    ranges = wanted.other_ranges(name)
    if not ranges:
        return
    for table in Base.metadata.tables.values():
        kind = class_of(table)
        if kind not in (TableClass.SLOT, TableClass.OWN_HASH):
            continue
        column = table.c.slot if kind is TableClass.SLOT else table.c.cslot
        foreign = or_(*(column.between(first, last) for first, last in ranges))
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL statement_timeout = 0"))
            slot = connection.scalar(select(column).where(foreign).limit(1).prefix_with(sweep("operator")))
        if slot is not None:
            own = text_of_ranges(wanted.ranges(name)) or "none"
            raise SlotMapDiffers(
                f"the database {name!r} has rows of the slot {slot} in the table {table.name}, and the settings give "
                f"it the slots {own}: slots are not moved by changing the settings"
            )
