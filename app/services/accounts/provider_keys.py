"""The key store that plugins are handed: public keys in a table, read from a copy in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import delete, select

from app.models.catalogue import ProviderKey
from app.providers.tools import Clock, StoredKey
from app.services.base.transaction import Sessions, Transaction, read, transact
from app.services.base.upsert import insert_if_new

COPY_SECONDS = 60
_k = ProviderKey.__table__.c


class DatabaseKeys:
    """Keys of one provider account. Reading never waits for the database: `reload_if_old` is called beside requests."""

    def __init__(self, provider_account: str, sessions: Callable[[], Sessions], clock: Clock) -> None:
        self._account = provider_account
        self._sessions = sessions
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, StoredKey] = {}
        self.copied_at = clock.now() - timedelta(days=1)
        """When the copy in memory was made."""

    def get(self, name: str) -> StoredKey | None:
        return self._keys.get(name)

    def all(self) -> tuple[StoredKey, ...]:
        return tuple(self._keys.values())

    def put(self, key: StoredKey) -> None:
        row = {
            "provider_account": self._account,
            "name": key.name,
            "value": key.value,
            "expires_at": key.expires_at,
            "stored_at": self._clock.now(),
        }

        def work(tx: Transaction) -> None:
            tx.execute(delete(ProviderKey).where(_k.provider_account == self._account, _k.name == key.name))
            insert_if_new(tx, ProviderKey.__table__, row)

        transact(self._sessions(), work)
        self._keys = {**self._keys, key.name: key}

    def reload_if_old(self) -> None:
        """Refresh the copy if it is older than a minute. One thread does it; the others go on with what there is."""
        if self._clock.now() - self.copied_at < timedelta(seconds=COPY_SECONDS):
            return
        if not self._lock.acquire(blocking=False):
            return
        try:
            self.reload()
        finally:
            self._lock.release()

    def reload(self) -> None:
        wanted = select(_k.name, _k.value, _k.expires_at).where(_k.provider_account == self._account)
        rows = read(self._sessions(), lambda tx: tx.execute(wanted).all())
        self._keys = {row.name: StoredKey(row.name, bytes(row.value), row.expires_at) for row in rows}
        self.copied_at = self._clock.now()
