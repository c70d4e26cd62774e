"""Seals: what shows that a row is as the service wrote it.

A seal is HMAC-SHA256 over the part of a row that never changes. With a key (the setting `audit.key`, which is not in
the database) somebody who gets at the database can neither edit a sealed row nor add one. Without a key a seal can be
worked out by anybody, and shows clumsy edits only.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from app.domain.fulfilment import FulfilledBy
from app.domain.ledger import microseconds
from app.domain.raw_documents import proven_part

SEALED: Mapping[str, tuple[str, ...]] = {
    "orders": (
        *("id", "user_id", "environment", "sku", "quantity", "amount_minor", "currency", "grants"),
        *("created_at", "expires_at"),
    ),
    "facts": (
        *("id", "provider_account", "environment", "key", "kind", "content", "raw", "road", "message_id"),
        *("at", "recorded_at"),
    ),
    "refunds": (
        *("id", "order_id", "payment_id", "provider_account", "theirs", "number_there", "origin", "policy"),
        *("reason", "caller", "amount_minor", "currency", "created_at"),
    ),
    "gifts": (
        *("id", "giver", "receiver", "asset", "environment", "amount", "message", "reference", "actor", "request"),
        "created_at",
    ),
    "journal_entries": (
        *("id", "request", "document", "reason", "environment", "currency", "lines", "effective_at", "reverses"),
        *("status", "proposed_by", "created_at", "ended_by", "ended_at", "booked"),
    ),
    "closings": (
        *("month", "zone", "until", "booked_until", "status", "document", "sha256", "despite", "proposed_by"),
        *("created_at", "confirmed_by", "confirmed_at"),
    ),
    "idempotency": ("slot", "caller", "key", "fingerprint", "resource_id", "refusal", "created_at"),
}
"""The columns of each table that are sealed, in this order. After these an order seals who fulfils it, if that is the
app's backend, and the agreement and the period that it charges, if it charges one: the seals of all other orders are as
they were before 2026-11-28, when there were no such orders. Of a fact's `raw`
the digest is sealed, and in rows of before 2026-11-29 the words (`app.domain.raw_documents`)."""
FOLLOWS_FACTS = frozenset({"amount_minor", "currency", "created_at"})
"""Of a refund that the provider decided: these follow from the facts, and the seal leaves them out."""
_PLAIN = frozenset({str, int, bool, type(None)})
"""Types whose values every database gives back as they are."""
_canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Seals:
    """The keys of this installation."""

    key: bytes = b""
    former: tuple[bytes, ...] = ()
    """Keys that sealed earlier."""
    since: datetime | None = None
    """From this moment on every row must bear a seal of one of the keys. None: there is no key."""

    def of_row(self, table: str, row: Mapping[str, object]) -> bytes:
        """The seal of a row, by its columns."""
        return _seal(self.key, table, _sealed(table, row))

    def fits_row(self, table: str, row: Mapping[str, object], seal: bytes) -> bool:
        """Whether the row bears its seal. A seal without a key counts for what is older than `since`."""
        return self._fits(table, _sealed(table, row), seal, row["recorded_at" if table == "facts" else "created_at"])

    def of_grant(self, transfer_id: UUID, fingerprint: bytes) -> bytes:
        """The seal of coins that a caller, and no fact, brought into a wallet."""
        return self.of("grants", [transfer_id.hex, fingerprint.hex()])

    def fits_grant(self, transfer_id: UUID, fingerprint: bytes, seal: bytes, at: datetime) -> bool:
        return self._fits("grants", [transfer_id.hex, fingerprint.hex()], seal, at)

    def of(self, what: str, content: list[object]) -> bytes:
        return _seal(self.key, what, content)

    def fits(self, what: str, content: list[object], seal: bytes) -> bool:
        """Whether it is a seal of one of the keys. Without a key: whether it is the seal that anybody can work out."""
        return any(hmac.compare_digest(_seal(key, what, content), seal) for key in (self.key, *self.former))

    def must_have(self, made_at: datetime) -> bool:
        """Whether what was made at that moment must bear a seal of a key."""
        return self.since is not None and made_at >= self.since

    def _fits(self, what: str, content: list[object], seal: bytes, made_at: object) -> bool:
        keys = [self.key, *self.former]
        if not (isinstance(made_at, datetime) and self.must_have(made_at)):
            keys.append(b"")
        return any(hmac.compare_digest(_seal(key, what, content), seal) for key in keys)


def content_of_columns(row: Mapping[str, object], columns: Sequence[str]) -> list[object]:
    """What is sealed of a row that is sealed by these columns alone."""
    return [spelled(row[column]) for column in columns]


def _sealed(table: str, row: Mapping[str, object]) -> list[object]:
    content: list[object] = []
    for column in SEALED[table]:
        value = proven_part(row[column]) if column == "raw" else row[column]
        content.append(value if type(value) in _PLAIN else spelled(value))
    if table == "orders" and row.get("fulfilment", FulfilledBy.WALLET) != FulfilledBy.WALLET:
        content.append(row["fulfilment"])
    if table == "orders" and row.get("agreement_id") is not None:
        content += [row["agreement_id"], row["period_number"]]
    if table == "refunds" and row["origin"] == "provider":
        names = SEALED[table]
        content = [None if name in FOLLOWS_FACTS else value for name, value in zip(names, content, strict=True)]
    return content


def _seal(key: bytes, what: str, content: list[object]) -> bytes:
    return hmac.digest(key, _canonical([what, *content]).encode("utf-8", "surrogatepass"), "sha256")


def spelled(value: object) -> object:
    """The value as every database gives it back: moments in microseconds, whole numbers without a point."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, datetime):
        return microseconds(value.astimezone(UTC))
    if isinstance(value, Mapping):
        members = dict[str, object]()
        for name, member in value.items():
            members[str(name)] = member if type(member) in _PLAIN else spelled(member)
        return members
    if isinstance(value, list | tuple):
        return [spelled(member) for member in value]
    if isinstance(value, float) and value.is_integer():
        return int(Decimal(repr(value)))  # 1e+308 comes back as 10^308, and not as the number that the float is
    return value.hex if isinstance(value, UUID) else value
