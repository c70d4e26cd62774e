"""The replica: a database that follows the first one, and answers reports in its place (`reports_database_url`). Where
several databases share the slots, one of each of them (`reports_url`), all read as one.

A replica is behind by what it has not heard of yet, and nobody decides anything by it: reports, and lists of all users,
are read there; what one user did a moment ago, and whatever money depends on, is read where it was written. A replica
that does not answer stops reports and nothing else: nobody asks the first database in its place, for that is the load
that the replica was made to take away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, event, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import sessionmaker

from app.domain.slot_map import map_of_document
from app.models import schema
from app.models.slot_map import SLOT_MAP
from app.services.base.databases import Databases, OneDatabase, SharedSlots
from app.services.base.errors import DomainError
from app.services.base.transaction import Sessions, Transaction, read

DOWN_SECONDS = 5.0
"""After a look that failed nobody waits for the replica for so long: a server that is gone costs seconds to miss."""
# A standby that has replayed all that it was sent is not behind, however long nothing was written; but only while it is
# connected is that all there is.
_LAG = text(
    """
SELECT CASE
  WHEN NOT pg_is_in_recovery() THEN NULL
  WHEN EXISTS (SELECT FROM pg_stat_wal_receiver) AND pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
  ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp())
END"""
)
_KEPT = select(SLOT_MAP.c.name, SLOT_MAP.c.document).where(SLOT_MAP.c.id == 1)
_MAP = "tillbook_map"
_log = structlog.get_logger(__name__)


class ReportsUnavailable(DomainError):
    """The replica does not answer, or has another schema. The detail says which."""

    code = "reports_unavailable"
    remembered = False


class Replica:
    """One process's view of what follows the databases of the service: one replica, or one of each of several. Threads
    share it. `engines` is by the name of the database that each follows, home's first."""

    def __init__(self, engines: Mapping[str, Engine], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.engines = dict(engines)
        self._clock = clock
        self._lock = threading.Lock()
        self._failure: tuple[float, str] | None = None
        """When a look failed, and why."""
        if len(self.engines) > 1:
            for engine in self.engines.values():
                event.listen(engine, "begin", _refuse_another_map)

    def dispose(self) -> None:
        """Close its connections."""
        for engine in self.engines.values():
            engine.dispose()

    @cached_property
    def _wanted(self) -> str:
        return schema.newest()

    def check_usable(self) -> None:
        """As `databases`."""
        self.databases()

    def databases(self) -> Databases:
        """What is read for reports. Raises ReportsUnavailable if a replica does not answer, has not the schema of this
        service, or has heard of another map of the slots than the others."""
        with self._lock:
            failure = self._failure
        if failure is not None and self._clock() - failure[0] < DOWN_SECONDS:
            raise ReportsUnavailable(failure[1])
        try:
            found = self._look()
        except ReportsUnavailable as error:
            with self._lock:
                self._failure = (self._clock(), error.detail)
            _log.error("replica_unusable", problem=error.detail)
            raise
        with self._lock:
            self._failure = None
        return found

    def lag_seconds(self) -> float | None:
        """How far it is behind, of several the one that is furthest; None where a database cannot say so: SQLite, and a
        server that is no standby. Call `check_usable` before."""
        found = [self._lag_of(name, engine) for name, engine in self.engines.items()]
        return None if None in found else max(filter(None, found), default=0.0)

    def _lag_of(self, name: str, engine: Engine) -> float | None:
        if engine.dialect.name != "postgresql":
            return None
        try:
            found = read(_sessions(engine), _lag)
        except DBAPIError as error:
            raise ReportsUnavailable(f"{self._called(name)} does not answer ({type(error).__name__})") from None
        return None if found is None else max(0.0, round(found, 3))

    def _look(self) -> Databases:
        if len(self.engines) == 1:
            [(name, engine)] = self.engines.items()
            self._require_schema(name, engine)
            return OneDatabase(_sessions(engine))
        for name, engine in self.engines.items():
            self._require_schema(name, engine)
        documents = {name: self._document_of(name, engine) for name, engine in self.engines.items()}
        maps = [map_of_document(document) for document in documents.values()]
        if maps[0].frozen or maps.count(maps[0]) < len(maps):
            raise ReportsUnavailable("slots are moved, or were moved and not all replicas have heard of it yet")
        numbers = {name: number for number, name in enumerate(self.engines)}
        if unknown := set(maps[0].of_slot) - numbers.keys():
            raise ReportsUnavailable(f"the settings do not name the replica of {min(unknown)!r}")
        sessions = [
            _sessions(engine.execution_options(**{_MAP: documents[name]})) for name, engine in self.engines.items()
        ]
        return SharedSlots(sessions, [numbers[owner] for owner in maps[0].of_slot], names=list(numbers))

    def _require_schema(self, name: str, engine: Engine) -> None:
        try:
            found = read(_sessions(engine), lambda tx: schema.revision_of(tx.connection()))
        except (SQLAlchemyError, OSError) as error:
            raise ReportsUnavailable(f"{self._called(name)} does not answer ({type(error).__name__})") from None
        if found != self._wanted:
            raise ReportsUnavailable(
                f"{self._called(name)} is at the schema {found or 'empty'}, this service at {self._wanted}"
            )

    def _document_of(self, name: str, engine: Engine) -> Any:
        """The map of the slots, as this replica bears it."""
        try:
            kept = read(_sessions(engine), lambda tx: tx.execute(_KEPT).one_or_none())
        except (SQLAlchemyError, OSError) as error:
            raise ReportsUnavailable(f"{self._called(name)} does not answer ({type(error).__name__})") from None
        if kept is None or kept.name != name:
            follows = "none" if kept is None else repr(kept.name)
            raise ReportsUnavailable(f"{self._called(name)} follows another database: {follows}")
        return kept.document

    def _called(self, name: str) -> str:
        return "the replica" if len(self.engines) == 1 else f"the replica of {name!r}"


def _sessions(engine: Engine) -> Sessions:
    return sessionmaker(engine, expire_on_commit=False)


def _refuse_another_map(connection: Connection) -> None:
    """The first statement of a transaction: so it sees the moment that all of the transaction sees. A replica that has
    heard of a move since it was looked at would count the slots twice beside the others, or not at all."""
    wanted = connection.get_execution_options().get(_MAP)
    if wanted is not None and connection.execute(_KEPT).one().document != wanted:
        raise ReportsUnavailable("slots began to be moved at this moment")


def _lag(tx: Transaction) -> float | None:
    found = tx.scalar(_LAG)
    return None if found is None else float(found)
