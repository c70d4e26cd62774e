"""The replica: a database that follows the first one, and answers reports in its place (`reports_database_url`).

A replica is behind by what it has not heard of yet, and nobody decides anything by it: reports, and lists of all users,
are read there; what one user did a moment ago, and whatever money depends on, is read where it was written. A replica
that does not answer stops reports and nothing else: nobody asks the first database in its place, for that is the load
that the replica was made to take away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cached_property

import structlog
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import sessionmaker

from app.models import schema
from app.services.base.errors import DomainError
from app.services.base.transaction import Transaction, read

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
_log = structlog.get_logger(__name__)


class ReportsUnavailable(DomainError):
    """The replica does not answer, or has another schema. The detail says which."""

    code = "reports_unavailable"
    remembered = False


class Replica:
    """One process's view of the replica. Threads share it."""

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.engine = engine
        self.sessions = sessionmaker(engine, expire_on_commit=False)
        self._clock = clock
        self._lock = threading.Lock()
        self._failure: tuple[float, str] | None = None
        """When a look failed, and why."""

    @cached_property
    def _wanted(self) -> str:
        return schema.newest()

    def check_usable(self) -> None:
        """Raises ReportsUnavailable if the replica does not answer, or has not the schema of this service."""
        with self._lock:
            failure = self._failure
        if failure is not None and self._clock() - failure[0] < DOWN_SECONDS:
            raise ReportsUnavailable(failure[1])
        why = self._problem()
        with self._lock:
            self._failure = None if why is None else (self._clock(), why)
        if why is not None:
            _log.error("replica_unusable", problem=why)
            raise ReportsUnavailable(why)

    def _problem(self) -> str | None:
        try:
            found = read(self.sessions, lambda tx: schema.revision_of(tx.connection()))
        except (SQLAlchemyError, OSError) as error:
            return f"the replica does not answer ({type(error).__name__})"
        if found == self._wanted:
            return None
        return f"the replica is at the schema {found or 'empty'}, this service at {self._wanted}"

    def lag_seconds(self) -> float | None:
        """How far it is behind; None where the database cannot say so: SQLite, and a server that is no standby. Call
        `check_usable` before."""
        if self.engine.dialect.name != "postgresql":
            return None
        try:
            found = read(self.sessions, _lag)
        except DBAPIError as error:
            raise ReportsUnavailable(f"the replica does not answer ({type(error).__name__})") from None
        return None if found is None else max(0.0, round(found, 3))


def _lag(tx: Transaction) -> float | None:
    found = tx.scalar(_LAG)
    return None if found is None else float(found)
