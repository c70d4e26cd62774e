"""One unit of work: rolled back unless it returns, repeated whole where the database asks for it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar, overload

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from app.models.engine import READ_ONLY
from app.models.slot_fence import FENCED_TEXT, is_fenced
from app.services.base.errors import SlotsFrozen
from app.services.base.statements import Transaction
from app.services.base.wire import FORGOTTEN

__all__ = ["ATTEMPTS", "Sessions", "Transaction", "alone", "read", "transact"]
ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 1.0
# serialization failure, deadlock detected
_REPEAT = frozenset({"40001", "40P01", FORGOTTEN})
_LOST = ("08", "57P0", "XX000")  # connection lost, server going down: a COMMIT may or may not have happened

Sessions = sessionmaker[Session]
T = TypeVar("T")
_log = structlog.get_logger(__name__)


W = TypeVar("W", bound=Transaction)
Make = Callable[[Connection], W]


@overload
def transact(sessions: Sessions, work: Callable[[Transaction], T], *, attempts: int = ATTEMPTS) -> T: ...
@overload
def transact(sessions: Sessions, work: Callable[[W], T], make: Make[W], *, attempts: int = ATTEMPTS) -> T: ...
def transact(
    sessions: Sessions, work: Callable[[Any], T], make: Make[Any] = Transaction, *, attempts: int = ATTEMPTS
) -> T:
    """Run `work` in one transaction and commit it; give back what it returned.

    After a deadlock, a serialization failure or a lost connection the whole of it runs again in a new transaction. A
    connection lost during COMMIT leaves the outcome unknown, so `work` must be safe to repeat: every write of ours is
    keyed, and the repeat finds what the first run left.
    """
    engine: Engine = sessions.kw["bind"]
    for attempt in range(1, attempts + 1):
        try:
            with engine.begin() as connection:
                tx = make(connection)
                tx.is_repeated = attempt > 1
                done = work(tx)
                tx.flush()
        except DBAPIError as error:
            _pause_after(error, attempt, attempts)
        else:
            tx.say_what_was_done()
            return done
    raise AssertionError("unreachable")


@overload
def read(sessions: Sessions, work: Callable[[Transaction], T], *, snapshot: bool = False) -> T: ...
@overload
def read(sessions: Sessions, work: Callable[[W], T], make: Make[W], *, snapshot: bool = False) -> T: ...
def read(sessions: Sessions, work: Callable[[Any], T], make: Make[Any] = Transaction, *, snapshot: bool = False) -> T:
    """Run `work` in a transaction that only reads; it is rolled back. With `snapshot` all its statements see the
    database as of one moment. Repeated like `transact`: a pooled connection may have died since it was last used."""
    engine: Engine = sessions.kw["bind"]
    options: dict[str, Any] = {READ_ONLY: True}
    if snapshot and engine.dialect.name != "sqlite":  # a reader of SQLite always sees one moment
        options["isolation_level"] = "REPEATABLE READ"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with engine.connect() as connection:
                reading = connection.execution_options(**options)
                reading.begin()  # by hand: statements that run on the driver's cursor do not make SQLAlchemy begin
                return work(make(reading))
        except DBAPIError as error:
            _pause_after(error, attempt, ATTEMPTS)
    raise AssertionError("unreachable")


def alone(sessions: Sessions, work: Callable[[W], T], make: Make[W]) -> T:
    """Run `work`, of which each statement is a transaction of its own: no BEGIN, no COMMIT, one wait for each. Repeated
    like `transact`. For statements of `base.statements` alone: SQLAlchemy's own execution would begin a transaction."""
    engine: Engine = sessions.kw["bind"]
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with engine.connect() as connection:
                tx = make(connection)
                tx.begins = False
                done = work(tx)
                tx.flush()
        except DBAPIError as error:
            _pause_after(error, attempt, ATTEMPTS)
        else:
            tx.say_what_was_done()
            return done
    raise AssertionError("unreachable")


def _pause_after(error: DBAPIError, attempt: int, attempts: int) -> None:
    """Wait before the next attempt. Raises the error if there is none, or if it would fail likewise; SlotsFrozen where
    a fence keeps writers out of slots that are moved."""
    if is_fenced(error.orig):
        raise SlotsFrozen(FENCED_TEXT) from error
    if attempt == attempts or not _worth_repeating(error):
        raise error
    _log.warning("transaction_repeated", attempt=attempt, sqlstate=_sqlstate(error))
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt)
    time.sleep(random.uniform(0, longest))  # noqa: S311 - spreads repeats, keeps no secret


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _worth_repeating(error: DBAPIError) -> bool:
    state = _sqlstate(error)
    if state in _REPEAT or state.startswith(_LOST) or error.connection_invalidated:
        return True
    return "database is locked" in str(error.orig)
