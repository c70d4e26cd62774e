"""What an `Idempotency-Key` stands for: one request of one caller, once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from app.models.orders import IdempotencyKey
from app.services.base.context import Tx
from app.services.base.errors import KeyReused
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
