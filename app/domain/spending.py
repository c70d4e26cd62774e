"""Requests that may be refused: to spend, to debit, to hold, to capture. Each has a key; an answer stays the answer."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from app.domain.books import Book
from app.domain.ledger import (
    ADJUSTMENT,
    ISSUANCE,
    LONGEST,
    MAX_AMOUNT,
    REVENUE,
    AccountName,
    InvalidTransfer,
    Lot,
    Refused,
    Transfer,
    digest_of,
    system,
    wallet,
)
from app.domain.limits import LedgerRules, limit_for, periods, room
from app.domain.numbers import keyed_uuid

SPEND, DEBIT, GRANT, CAPTURE = "spend", "debit", "grant", "capture"


@dataclass(frozen=True)
class Spend:
    """Coins that a user spends. Key and user together name it: two users may use the same key."""

    user_id: str
    asset: str
    amount: int
    key: str
    scope: str = "spend"
    """Whose keys these are (one caller's)."""
    environment: str = "live"
    to: str = REVENUE
    """The system account that gets the coins."""
    reference: str = ""
    note: str = ""
    actor: str = ""
    limited: bool = True
    """Whether it counts for the user's spend limits. An operator's debit does not."""

    @cached_property
    def transfer(self) -> Transfer:
        """Raises InvalidTransfer if it is none."""
        return Transfer(
            scope=f"{self.scope}:{self.user_id}",
            key=self.key,
            debit=wallet(self.user_id, self.asset, self.environment),
            credit=system(self.to, self.asset, self.environment),
            amount=self.amount,
            kind=SPEND if self.limited else DEBIT,
            reference=self.reference,
            note=self.note,
            actor=self.actor,
        )


def debit(
    user_id: str,
    asset: str,
    amount: int,
    key: str,
    *,
    reason: str,
    actor: str,
    environment: str = "live",
    scope: str = "debit",
    reference: str = "",
) -> Spend:
    """Coins that an operator takes away, with the reason and who did it."""
    if not reason or not actor:
        raise InvalidTransfer("a debit needs a reason and an actor")
    return Spend(
        user_id,
        asset,
        amount,
        key,
        scope=scope,
        environment=environment,
        to=ADJUSTMENT,
        reference=reference,
        note=reason,
        actor=actor,
        limited=False,
    )


def grant(
    user_id: str,
    asset: str,
    amount: int,
    key: str,
    *,
    reason: str,
    actor: str,
    environment: str = "live",
    scope: str = "grant",
    reference: str = "",
    expires_at: datetime | None = None,
    product: str = "",
) -> Transfer:
    """Bonus coins that an operator or the app's backend gives, with the reason and who did it."""
    if not reason or not actor:
        raise InvalidTransfer("a grant needs a reason and an actor")
    return Transfer(
        scope=f"{scope}:{user_id}",
        key=key,
        debit=system(ISSUANCE, asset, environment),
        credit=wallet(user_id, asset, environment),
        amount=amount,
        kind=GRANT,
        reference=reference,
        note=reason,
        actor=actor,
        lot=Lot(bonus=True, expires_at=expires_at, product=product),
    )


@dataclass(frozen=True)
class HoldRequest:
    """Coins to be reserved for so many seconds."""

    user_id: str
    asset: str
    amount: int
    key: str
    seconds: int
    scope: str = "hold"
    environment: str = "live"
    reference: str = ""
    note: str = ""
    actor: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.amount <= MAX_AMOUNT or not 0 < self.seconds <= LONGEST_HOLD_SECONDS:
            raise InvalidTransfer("a hold has a positive amount and lasts at most 90 days")
        for text in ("reference", "note", "actor"):
            if len(getattr(self, text)) > LONGEST[text]:
                raise InvalidTransfer(f"{text} is longer than {LONGEST[text]} characters")

    @property
    def account(self) -> AccountName:
        return wallet(self.user_id, self.asset, self.environment)

    def id_in(self, slot: int) -> uuid.UUID:
        return keyed_uuid(slot, f"{self.scope}:{self.user_id}", self.key)

    def fingerprint(self, slot: int) -> bytes:
        texts = (self.reference, self.note, self.actor)
        return hold_fingerprint(self.id_in(slot), self.account, self.amount, self.seconds * 1_000_000, texts)


LONGEST_HOLD_SECONDS = 90 * 24 * 3600


def hold_fingerprint(
    hold_id: uuid.UUID, account: AccountName, amount: int, lasts_us: int, texts: tuple[str, str, str]
) -> bytes:
    """SHA-256 of a hold's content, as asked for; how long it lasts is in microseconds."""
    return digest_of("hold-1", hold_id.hex, *account, amount, lasts_us, *texts)


@dataclass(frozen=True)
class Capture:
    """Take what a hold reserved: `amount` of it, or all that is left of it."""

    hold_id: uuid.UUID
    key: str
    amount: int | None = None
    final: bool = False
    """Give the rest back at once."""
    to: str = REVENUE
    scope: str = "capture"
    reference: str = ""
    note: str = ""
    actor: str = ""

    def __post_init__(self) -> None:
        if self.amount is not None and not 0 < self.amount <= MAX_AMOUNT:
            raise InvalidTransfer("a capture takes a positive amount, or all (None)")

    def id_in(self, slot: int) -> uuid.UUID:
        return keyed_uuid(slot, self._scope, self.key)

    def transfer(self, account: AccountName, amount: int) -> Transfer:
        return Transfer(
            scope=self._scope,
            key=self.key,
            debit=account,
            credit=system(self.to, account.asset, account.environment),
            amount=amount,
            kind=CAPTURE,
            reference=self.reference,
            note=self.note,
            actor=self.actor,
            cause=self.hold_id,
        )

    def fingerprint(self, slot: int) -> bytes:
        """Of the request, for a refusal: what is asked, not what it comes to."""
        return digest_of("capture-1", self.id_in(slot).hex, self.amount, self.to, self.reference, self.note, self.actor)

    @property
    def _scope(self) -> str:
        return f"{self.scope}:{self.hold_id.hex}"


def refusal(
    request_id: uuid.UUID, book: Book, amount: int, available: int, rules: LedgerRules, at: datetime, *, limited: bool
) -> Refused | None:
    """Why this account may not give that much at that moment; None if it may."""
    if limited:
        # A frozen wallet stops its user, not the operator who takes coins away.
        if book.frozen:
            return Refused(request_id, "wallet_frozen")
        over = _over_limit(request_id, book, amount, rules, at)
        if over is not None:
            return over
    if available < amount:
        funds = {"amount": amount, "balance": book.balance, "held": book.held, "available": available}
        return Refused(request_id, "insufficient_funds", funds)
    return None


def _over_limit(request_id: uuid.UUID, book: Book, amount: int, rules: LedgerRules, at: datetime) -> Refused | None:
    limit = limit_for(rules, book.name.asset)
    day, month = book.spent(periods(at, rules.zone))
    for period, most, spent in (("day", limit.day, day), ("month", limit.month, month)):
        if spent > room(most, amount):
            details: dict[str, int | str] = {
                "period": period,
                "limit": MAX_AMOUNT if most is None else most,
                "spent": spent,
                "amount": amount,
            }
            return Refused(request_id, "spend_limit", details)
    return None
