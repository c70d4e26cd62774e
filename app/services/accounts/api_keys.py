"""Callers in the database: their API keys, made, listed and revoked, and their caps.

A row of a key bears a seal with the installation's key (`audit.key`): whoever can only write to the database makes no
API key that counts. The key itself is told once and kept nowhere.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from app.domain.caps import NO_CAP, Cap, Caps
from app.domain.seals import Seals, content_of_columns
from app.models.base import AnyRow
from app.models.callers import CallerCap, CallerKey, CallerRow, KeyUse
from app.services.base.context import Tx
from app.services.base.upsert import insert_if_new, insert_or_change

SECRET_BYTES = 32
"""Random bytes of an API key. So its hash can be looked up: nobody guesses one, by trying or by timing."""
SEALED_COLUMNS = ("name", "caller", "sha256", "scopes", "expires_at", "made_by", "created_at")
_callers, _keys, _caps = CallerRow.__table__.c, CallerKey.__table__.c, CallerCap.__table__.c
_uses = KeyUse.__table__.c


class NotChanged(Exception):
    """The text says why nothing was changed, for the operator."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """An API key as an operator wants it."""

    name: str
    caller: str
    scopes: frozenset[str]
    expires_at: datetime | None
    made_by: str


def make_secret(prefix: str) -> str:
    """A new API key."""
    return prefix + secrets.token_urlsafe(SECRET_BYTES)


def digest_of_key(key: str) -> str:
    """What is kept of an API key."""
    return hashlib.sha256(key.encode()).hexdigest()


def add_caller(tx: Tx, name: str, made_by: str) -> bool:
    """Make a caller; False if it is there already."""
    return insert_if_new(tx, CallerRow.__table__, {"name": name, "made_by": made_by, "created_at": tx.now})


def is_caller(tx: Tx, name: str) -> bool:
    return tx.scalar(select(_callers.name).where(_callers.name == name)) is not None


def add_key(tx: Tx, wanted: NewKey, sha256: str) -> None:
    """Write a key of a caller that is there. Raises NotChanged."""
    row = _row(tx, wanted, sha256)
    if not insert_if_new(tx, CallerKey.__table__, row):
        raise NotChanged(f"there is an API key {wanted.name} already; a revoked one keeps its name")


def revoke(tx: Tx, name: str, revoked_by: str) -> AnyRow:
    """End a key of the database for ever; its row. Raises NotChanged."""
    wanted = update(CallerKey).where(_keys.name == name, _keys.revoked_at.is_(None))
    revoked = tx.execute(wanted.values(revoked_by=revoked_by, revoked_at=tx.now).returning(*_keys)).one_or_none()
    if revoked is not None:
        return revoked
    if tx.scalar(select(_keys.name).where(_keys.name == name)) is None:
        raise NotChanged(f"there is no API key {name}")
    raise NotChanged(f"the API key {name} is revoked already")


def revoke_in_settings(tx: Tx, of_settings: NewKey, sha256: str) -> None:
    """End a key that the settings name, without a new start of the service: the database says that it is revoked.
    Raises NotChanged."""
    add_caller(tx, of_settings.caller, of_settings.made_by)
    row = {**_row(tx, of_settings, sha256), "revoked_by": of_settings.made_by, "revoked_at": tx.now}
    if not insert_if_new(tx, CallerKey.__table__, row):
        raise NotChanged(f"the API key {of_settings.name} is revoked already")


def _row(tx: Tx, wanted: NewKey, sha256: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": wanted.name,
        "caller": wanted.caller,
        "sha256": sha256,
        "scopes": sorted(wanted.scopes),
        "expires_at": wanted.expires_at,
        "made_by": wanted.made_by,
        "created_at": tx.now,
    }
    row["seal"] = tx.core.rules.ledger.seals.of("caller_keys", content_of_columns(row, SEALED_COLUMNS))
    return row


def is_genuine(seals: Seals, row: AnyRow) -> bool:
    """Whether the row is as this installation wrote it. A key made before there was an `audit.key` is not: a row that
    anybody could have sealed must open no door."""
    return seals.fits("caller_keys", content_of_columns(row._asdict(), SEALED_COLUMNS), bytes(row.seal))


def list_keys(tx: Tx) -> Sequence[AnyRow]:
    """Every key in the database, by caller and age."""
    return tx.execute(select(*_keys).order_by(_keys.caller, _keys.created_at, _keys.name)).all()


def list_callers(tx: Tx) -> Sequence[AnyRow]:
    return tx.execute(select(*_callers).order_by(_callers.name)).all()


def last_uses(tx: Tx, digests: Iterable[str]) -> dict[str, datetime]:
    """When each of these keys was used last, by its hash; keys that never were are left out."""
    wanted = select(_uses.sha256, _uses.last_used_at).where(_uses.sha256.in_(list(digests)))
    return {row.sha256: row.last_used_at for row in tx.execute(wanted)}


def set_cap(tx: Tx, caller: str, verb: str, unit: str, cap: Cap, set_by: str) -> None:
    """Give a caller that is there a cap, in place of the one it had; without a number the cap is taken away."""
    key = {"caller": caller, "verb": verb, "unit": unit}
    if cap == NO_CAP:
        tx.execute(delete(CallerCap).where(_caps.caller == caller, _caps.verb == verb, _caps.unit == unit))
        return
    given = {"per_call": cap.per_call, "per_day": cap.per_day, "set_by": set_by, "set_at": tx.now}
    insert_or_change(tx, CallerCap.__table__, {**key, **given}, lambda new: {name: new[name] for name in given})


def caps_by_caller(tx: Tx) -> dict[str, Caps]:
    """Every cap in the database."""
    found: dict[str, dict[tuple[str, str], Cap]] = {}
    for row in tx.execute(select(*_caps).order_by(_caps.caller, _caps.verb, _caps.unit)):
        found.setdefault(row.caller, {})[row.verb, row.unit] = Cap(row.per_call, row.per_day)
    return dict(found)
