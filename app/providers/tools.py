"""What the core hands to a plugin: a clock, an HTTP client, a place for public keys, and whether this is production."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.providers.http import HttpClient


class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment: aware, UTC."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """Public key material by name (a certificate's serial number)."""

    name: str
    value: bytes
    expires_at: datetime | None = None


class KeyStore(Protocol):
    """Public keys and certificates of one provider account, shared by all processes. Reads never leave the process."""

    def get(self, name: str) -> StoredKey | None: ...

    def all(self) -> tuple[StoredKey, ...]: ...

    def put(self, key: StoredKey) -> None:
        """Keep it, replacing what had that name. Only to be called from `refresh`."""


@dataclass(frozen=True, slots=True)
class Tools:
    http: HttpClient
    clock: Clock
    keys: KeyStore
    live: bool
    """False: this account speaks to the provider's sandbox (or to a simulator)."""
