"""What an `Idempotency-Key` stands for: one request of one caller, once."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from app.models.orders import IdempotencyKey
from app.services.base.context import Core, Tx
from app.services.base.errors import KeyReused, Problem
from app.services.base.upsert import insert_if_new

_k = IdempotencyKey.__table__.c


@dataclass(frozen=True, slots=True)
class Keyed:
    """A caller's request with its key. The fingerprint covers everything that the request asks for."""

    caller: str
    key: str
    fingerprint: str


def keyed(caller: str, key: str, what: str, content: Mapping[str, Any]) -> Keyed:
    canonical = json.dumps([what, content], sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return Keyed(caller, key, hashlib.sha256(canonical.encode()).hexdigest())


def decided_once(core: Core, slot: int, request: Keyed, decide: Callable[[Tx], int]) -> int:
    """The resource that the request makes, or has made; `decide` runs only for a new key. Raises the refusal that
    `decide` raises or once raised, and KeyReused where the key stands for another request."""

    def work(tx: Tx) -> int:
        known = find_key(tx, slot, request)
        if known is not None:
            return _made(known)
        resource_id = decide(tx)
        known = claim_key(tx, slot, request, resource_id, tx.now)
        return resource_id if known is None else _made(known)

    try:
        return core.transact(work)
    except KeyReused:
        raise
    except Problem as error:
        mark = _mark_of(error.code)
        known = core.transact(lambda tx: claim_key(tx, slot, request, mark, tx.now))
        if known is None or known == mark:
            raise
        return _made(known)


def _made(resource_id: int) -> int:
    """Raises the refusal that stands in the place of a resource."""
    if resource_id < 0:
        raise next((kind for kind in _kinds(Problem) if _mark_of(kind.code) == resource_id), Problem)
    return resource_id


def _mark_of(code: str) -> int:
    """A negative number that no resource has."""
    return -1 - zlib.crc32(code.encode())


def _kinds(kind: type[Problem]) -> Iterator[type[Problem]]:
    for child in kind.__subclasses__():
        yield child
        yield from _kinds(child)


def claim_key(tx: Tx, slot: int, request: Keyed, resource_id: int, now: datetime) -> int | None:
    """Bind the key to the resource about to be made: None if the key is new, else the resource that it already made.

    Runs in the transaction that makes the resource; a second request at the same time waits here for the first.
    Raises KeyReused if the key stood for other content.
    """
    row = {
        "slot": slot,
        "caller": request.caller,
        "key": request.key,
        "fingerprint": request.fingerprint,
        "resource_id": resource_id,
        "created_at": now,
    }
    if insert_if_new(tx, IdempotencyKey.__table__, row):
        return None
    return find_key(tx, slot, request)


def find_key(tx: Tx, slot: int, request: Keyed) -> int | None:
    """The resource that the key stands for; None if it is new. Raises KeyReused if it stands for other content."""
    known = tx.execute(
        select(_k.fingerprint, _k.resource_id).where(
            _k.slot == slot, _k.caller == request.caller, _k.key == request.key
        )
    ).one_or_none()
    if known is None:
        return None
    if known.fingerprint != request.fingerprint:
        raise KeyReused
    return int(known.resource_id)
