"""What a web process knows of the callers in the database: a copy in memory, so that no request pays a statement.

A new, changed or revoked key counts in every process within LEARN_SECONDS: a copy that is older is not used, but read
again by the request that finds it so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.domain.caps import Caps
from app.models.callers import KeyUse
from app.services.accounts import api_keys
from app.services.base.context import Core, Tx
from app.services.base.upsert import insert_or_change

LEARN_SECONDS = 10.0
"""After so long every process knows of a new or a revoked key, and of a changed cap."""
USE_SECONDS = 60
"""The use of a key is written down once in so long."""
_log = structlog.get_logger(__name__)
_uses = KeyUse.__table__.c


@dataclass(frozen=True, slots=True)
class KnownKey:
    """An API key that counts until it expires."""

    name: str
    caller: str
    scopes: frozenset[str]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KnownCallers:
    """The callers in the database at one moment. Keys are found by their hash."""

    keys: Mapping[str, KnownKey] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()
    """Hashes of keys that were revoked: of keys in the settings, too."""
    caps: Mapping[str, Caps] = field(default_factory=dict)


NOBODY = KnownCallers()


class CallerCopy:
    """One for each web process, shared by its threads."""

    def __init__(self, core: Core, seconds: Callable[[], float] = time.monotonic) -> None:
        self._core = core
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known = NOBODY
        self._read_at = float("-inf")
        self._used_at: dict[str, float] = {}

    def look(self) -> KnownCallers:
        """The callers as they were less than LEARN_SECONDS ago. Raises the database's error where it cannot be asked
        any more: a key that may be revoked does not count."""
        if self._is_fresh():
            return self._known
        with self._lock:
            if not self._is_fresh():
                begun = self._seconds()
                self._known = self._core.home.read(self._read)
                self._read_at = begun
        return self._known

    def note_use(self, digest: str) -> None:
        """Write down that this key was used, at most once in USE_SECONDS and in a transaction of its own. A request
        does not fail over it."""
        last = self._used_at.get(digest)
        if last is not None and self._seconds() - last < USE_SECONDS:
            return
        self._used_at[digest] = self._seconds()
        try:
            self._core.home.transact(lambda tx: _write_use(tx, digest))
        except SQLAlchemyError as error:
            _log.warning("key_use_not_written", error=type(error).__name__)

    def _is_fresh(self) -> bool:
        return self._seconds() - self._read_at < LEARN_SECONDS

    def _read(self, tx: Tx) -> KnownCallers:
        seals = tx.core.rules.ledger.seals
        keys, revoked = dict[str, KnownKey](), set[str]()
        for row in api_keys.list_keys(tx):
            if row.revoked_at is not None:
                revoked.add(row.sha256)
            elif api_keys.is_genuine(seals, row):
                keys[row.sha256] = KnownKey(row.name, row.caller, frozenset(row.scopes), row.expires_at)
            else:
                _log.error("api_key_without_seal", name=row.name, caller=row.caller)
        return KnownCallers(keys, frozenset(revoked), api_keys.caps_by_caller(tx))


def _write_use(tx: Tx, digest: str) -> None:
    """Every process writes it: one of them in so long."""
    row = {"sha256": digest, "last_used_at": tx.now}
    before = tx.now - timedelta(seconds=USE_SECONDS)
    insert_or_change(
        tx, KeyUse.__table__, row, lambda new: {"last_used_at": new.last_used_at}, _uses.last_used_at <= before
    )
