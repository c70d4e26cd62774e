"""What happens to an account without moving coins: holds, refusals, freezing. Each leaves a mark in a chain of its own.

The chain of transfers proves what was moved. Marks prove the rest: that a hold was made and let go of, that a request
was refused, that a wallet was frozen, and each time with which content. They are written where the account is locked
anyway; the plain spend knows nothing of them.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from app.domain.ledger import AccountName, digest_of, microseconds

HELD, RESERVED = "held", "reserved"
"""A hold was made: by a request that counts for the spend limits, or for a refund, which does not."""
LOWERED, RELEASED, EXPIRED, FINISHED = "lowered", "released", "expired", "finished"
"""A hold let go of coins: of a part, or of all that was left (by its caller, by time, after a final capture)."""
REFUSED = "refused"
FROZEN, UNFROZEN = "frozen", "unfrozen"

MADE = frozenset({HELD, RESERVED})
ENDED = {RELEASED: "released", EXPIRED: "expired", FINISHED: "captured"}
"""Marks that end a hold, and the state in which they leave it."""
LET_GO = frozenset({LOWERED, *ENDED})
FREEZING = frozenset({FROZEN, UNFROZEN})
BEFORE_MARKS = "refusals"
"""The code of the system account that carries the marks of refusals from before there were marks: nobody knows any
more whose they were."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One entry of the chain. `content` is the SHA-256 of what it is about, as it was at that moment."""

    kind: str
    subject: uuid.UUID
    """The hold or the refused request; for freezing, the number of the entry as a UUID."""
    amount: int
    at_us: int
    content: bytes

    def after(self, head: bytes) -> bytes:
        """The new head. Numbers are 8 bytes, big-endian; the kind comes last, the only part without a fixed length."""
        numbers = self.amount.to_bytes(8, "big", signed=True) + self.at_us.to_bytes(8, "big", signed=True)
        return sha256(head + self.content + self.subject.bytes + numbers + self.kind.encode()).digest()


def first_head(slot: int, name: AccountName) -> bytes:
    """What the first mark of an account builds on: its name, so that no chain can be moved to another account."""
    return digest_of("marks-1", slot, *name)


def subject_of(number: int) -> uuid.UUID:
    """A number of ours (of a freezing) as the subject of a mark."""
    return uuid.UUID(int=number)


def refusal_content(fingerprint: bytes, code: str, details: object) -> bytes:
    """SHA-256 of a refusal. Details are in the order of their keys: a database may keep them in another."""
    spelled = json.dumps(details, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return digest_of("refusal-1", fingerprint.hex(), code, spelled)


@dataclass(frozen=True, slots=True)
class Freezing:
    """An entry about wallets that were frozen or unfrozen."""

    id: int
    user_id: str
    asset: str | None
    environment: str
    frozen: bool
    reason: str
    actor: str
    refund_id: int | None
    at: datetime
    request: uuid.UUID | None = None
    """The caller's request that wanted it, named by caller and key; None for a policy, and for older entries."""

    @property
    def subject(self) -> uuid.UUID:
        return subject_of(self.id)

    @property
    def kind(self) -> str:
        return FROZEN if self.frozen else UNFROZEN

    def content(self) -> bytes:
        about = (self.id, self.user_id, self.asset, self.environment, self.frozen)
        rest = (self.reason, self.actor, self.refund_id, microseconds(self.at))
        if self.request is None:
            return digest_of("freezing-1", *about, *rest)
        return digest_of("freezing-2", *about, *rest, self.request.hex)

    def concerns(self, name: AccountName) -> bool:
        """Whether it froze (or unfroze) that account."""
        mine = name.is_wallet and (name.user_id, name.environment) == (self.user_id, self.environment)
        return mine and self.asset in (None, name.asset)
