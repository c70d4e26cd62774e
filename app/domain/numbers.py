"""Numbers that carry their slot.

A user belongs to one of 4096 slots for ever. Every number that we give out (order, payment, refund, …) is a positive
63-bit integer laid out as

    41 bits  milliseconds since 2025-01-01T00:00:00Z   (69 years)
    10 bits  sequence within the millisecond
    12 bits  slot

so a message that brings only a number already says where its rows are. Numbers travel as decimal strings, because
JavaScript rounds integers above 2^53.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

SLOTS = 4096
SLOT_BITS = 12
SEQUENCE_BITS = 10
EPOCH_MS = 1_735_689_600_000
MAX_NUMBER = 2**63 - 1
_DECIMAL = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def slot_of_user(user_id: str) -> int:
    """First 8 bytes of SHA-256 of the user id in UTF-8, big-endian, modulo 4096. Frozen: data lies where this says."""
    return int.from_bytes(hashlib.sha256(user_id.encode()).digest()[:8], "big") % SLOTS


def slot_of_reference(reference: str) -> int:
    """Where a row about something that is not ours lies (an unknown number): same hash as for users."""
    return slot_of_user(reference)


def slot_of_number(number: int) -> int:
    """The slot in the low 12 bits."""
    return number & (SLOTS - 1)


def slot_of_uuid(name: uuid.UUID) -> int:
    """The slot in the last three hexadecimal digits of a UUID that was made here (a transfer, an event, a token)."""
    return name.int % SLOTS


def number_at(moment: datetime) -> int:
    """The lowest number that is given out at this moment or later, whatever its slot."""
    return max(0, int(moment.timestamp() * 1000) - EPOCH_MS) << (SEQUENCE_BITS + SLOT_BITS)


def parse_number(text: str | None) -> int | None:
    """The number in its only spelling: decimal, no sign, no leading zero, below 2^63. None for anything else."""
    if text is None or not _DECIMAL.fullmatch(text):
        return None
    number = int(text)
    return number if number <= MAX_NUMBER else None


@lru_cache(maxsize=1024)  # one request asks for the same name several times: for the id, the fingerprint, the answer
def keyed_uuid(slot: int, scope: str, key: str) -> uuid.UUID:
    """A name for a repeatable operation: the same scope and key give the same UUID (version 8, RFC 9562).

    Its last three hexadecimal digits are the slot; 110 bits are SHA-256 of scope and key, length-prefixed so that no
    two pairs share a text.
    """
    scope_bytes = scope.encode()
    digest = hashlib.sha256(len(scope_bytes).to_bytes(4, "big") + scope_bytes + key.encode()).digest()
    value = int.from_bytes(digest[:16], "big")
    value = (value & ~0xFFF) | slot
    value = (value & ~(0xF << 76)) | (8 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return uuid.UUID(int=value)


KEYED_TRANSFERS, HOLD = ("spend", "grant", "debit"), "hold"
KEYED = (*KEYED_TRANSFERS, HOLD)
"""The requests of a caller about a user that have their keys together: the first word of their scopes."""


def ids_of_key(slot: int, owner: str, key: str) -> dict[str, uuid.UUID]:
    """Under which ids the books would know a request with this key, by its kind. `owner` is the caller and the user."""
    return {kind: keyed_uuid(slot, f"{kind}:{owner}", key) for kind in KEYED}


def key_owner(scope: str) -> str:
    """Whose keys these are: caller and user. Empty for a scope that is no caller's."""
    kind, _, owner = scope.partition(":")
    return owner if kind in KEYED else ""


def rival_ids(slot: int, scope: str, key: str) -> list[uuid.UUID]:
    """Under which ids the books would know another kind of request with this key: of KEYED without the scope's own, in
    their order. None for a scope that is no caller's."""
    kind, _, owner = scope.partition(":")
    return [keyed_uuid(slot, f"{other}:{owner}", key) for other in KEYED if other != kind] if kind in KEYED else []


def keyed_number(slot: int, scope: str, key: str) -> int:
    """A number for a repeatable request: the same scope and key give the same number of that slot, also where nobody
    remembers the request any more. Its upper 51 bits are SHA-256 of scope and key, as in `keyed_uuid`."""
    scope_bytes = scope.encode()
    digest = hashlib.sha256(len(scope_bytes).to_bytes(4, "big") + scope_bytes + key.encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> (1 + SLOT_BITS) or 1) << SLOT_BITS | slot


class NumberSource:
    """Gives numbers out, rising within one process. Safe to share between threads.

    Two processes may meet in the same millisecond, slot and sequence; the primary key then refuses the second insert
    and the caller takes another number (`services.base.upsert`). The sequence starts at random to make that rare.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._last_ms = 0
        self._sequence = 0

    def next(self, slot: int) -> int:
        with self._lock:
            ms = max(self._now_ms() - EPOCH_MS, self._last_ms)
            if ms > self._last_ms:
                self._sequence = secrets.randbits(SEQUENCE_BITS - 1)
            else:
                self._sequence += 1
                if self._sequence >> SEQUENCE_BITS:
                    ms, self._sequence = ms + 1, 0
            self._last_ms = ms
            return (((ms << SEQUENCE_BITS) | self._sequence) << SLOT_BITS) | slot
