"""Gifts: coins that one user gives to another, with the lots that they came from. No database.

A gift is two transfers over the account `transit`, each in the slot of its own user: out of the giver's wallet, and
into the receiver's, a transfer for each lot. What comes back to the giver is the reversal of the first.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from app.domain.books import Book
from app.domain.ledger import EXPIRED, REVERSAL, AccountName, InvalidTransfer, Lot, Transfer, system, wallet
from app.domain.lots import LotLeft, SpendOrder, in_spend_order, unspent_value

TRANSIT = "transit"
"""The system account through which gifts pass. Over all slots it is zero when no gift and no recall is under way."""
GIFT, GIFT_RECEIVED = "gift", "gift_received"
"""The kinds of the two transfers of a gift."""
GIFT_RECALLED, EXPIRED_RECALLED = "gift_recalled", "gift_expired_recalled"
"""The kinds of the transfers that take given coins from their receiver when their purchase is refunded: out of the
wallet, and out of what the house has already because it expired there unused."""
GIFT_KINDS = (GIFT, GIFT_RECEIVED, GIFT_RECALLED, EXPIRED_RECALLED)
"""The kinds of transfer that only gifts and their recalls make."""
MOST_PARTS = 500
"""One gift takes from so many lots at the most: each becomes a lot of the receiver."""


class GiftStatus(StrEnum):
    SENT = "sent"
    """Out of the giver's wallet, and not decided yet, or not known here to be."""
    RECEIVED = "received"
    RETURNED = "returned"
    """The receiver could not take it: the coins are back where they came from."""


class GiftReason(StrEnum):
    """Why a gift came back."""

    FROZEN = "receiver_frozen"
    LIMIT = "receiver_limit"
    OVERFLOW = "balance_overflow"


class GiftClawback(StrEnum):
    """Who gives coins back whose purchase is refunded after they were given away."""

    RECEIVER_FIRST = "receiver_first"
    """Whoever has them, as far as they are still there; the rest is the giver's."""
    GIVER_ONLY = "giver_only"


@dataclass(frozen=True, slots=True)
class GiftLimit:
    """The most of one asset, for one gift, and for what one user gives and gets in a day. None: no limit."""

    gift: int | None = None
    sent_per_day: int | None = None
    received_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class GiftRules:
    """Settings of gifts. `limits` is by asset; days are those of the ledger's zone."""

    enabled: bool = False
    by_users: bool = False
    """Whether a user's own token may give. The backend always may."""
    paid: bool = True
    """Whether paid coins may be given; bonus coins always may."""
    refundable: bool = True
    """Whether the backend may ask for the refund of a purchase of which coins were given away."""
    clawback: GiftClawback = GiftClawback.RECEIVER_FIRST
    limits: Mapping[str, GiftLimit] = field(default_factory=dict)

    def limit(self, asset: str) -> GiftLimit:
        return self.limits.get(asset, NO_GIFT_LIMIT)


NO_GIFT_LIMIT = GiftLimit()


@dataclass(frozen=True, slots=True)
class GiftRequest:
    """What is to be given. `actor` is the caller: the backend, or the giver's own token."""

    giver: str
    receiver: str
    asset: str
    amount: int
    environment: str = "live"
    message: str = ""
    reference: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True)
class GiftPart:
    """What a gift took from one lot. `source` is the lot's name in the giver's wallet."""

    amount: int
    source: int
    lot: Lot


def giftable(book: Book, order: SpendOrder, at_us: int, *, paid: bool) -> list[LotLeft]:
    """The lots that may be given, in the order in which they would be spent. They must be loaded. What has expired and
    is still there is kept by a hold: nobody can give it."""
    lots = (book.lots or {}).values()
    wanted = (lot for lot in lots if lot.remaining and not lot.expired(at_us) and (lot.bonus or paid))
    return in_spend_order(wanted, order)


def part_of(lot: Lot, granted: int, remaining: int, amount: int, source: int) -> GiftPart:
    """What `amount` coins of a lot are as a lot of somebody else: alike in all, with their share of the value.

    The value is the difference of what the lot is worth before and after, so that nothing of it is lost or made by
    rounding, into however many gifts a lot is divided.
    """
    value = unspent_value(lot.value_minor, granted, remaining)
    value -= unspent_value(lot.value_minor, granted, remaining - amount)
    currency = lot.currency if value else ""
    return GiftPart(amount, source, Lot(lot.bonus, lot.expires_at, lot.payment, lot.product, value, currency))


@dataclass(frozen=True, slots=True)
class Gift:
    """A gift that has its number."""

    number: int
    giver: str
    receiver: str
    asset: str
    environment: str
    amount: int
    message: str
    actor: str

    def __post_init__(self) -> None:
        if self.giver == self.receiver:
            raise InvalidTransfer("nobody gives to himself")

    @property
    def given_from(self) -> AccountName:
        return wallet(self.giver, self.asset, self.environment)

    @property
    def given_to(self) -> AccountName:
        return wallet(self.receiver, self.asset, self.environment)

    @property
    def transit(self) -> AccountName:
        return system(TRANSIT, self.asset, self.environment)

    def sent(self) -> Transfer:
        """Out of the giver's wallet."""
        return self._transfer("gift", str(self.number), self.given_from, self.transit, self.amount, GIFT)

    def received(self, parts: Sequence[GiftPart]) -> list[Transfer]:
        """Into the receiver's wallet, lot by lot."""
        return [
            self._transfer(
                GIFT_RECEIVED,
                f"{self.number}:{position}",
                self.transit,
                self.given_to,
                part.amount,
                GIFT_RECEIVED,
                part.lot,
            )
            for position, part in enumerate(parts)
        ]

    def returned(self, sent: uuid.UUID, reason: str) -> Transfer:
        """Back into the giver's wallet: the reversal of what took the coins out of it, so there is at most one."""
        return Transfer(
            scope=REVERSAL,
            key=sent.hex,
            debit=self.transit,
            credit=self.given_from,
            amount=self.amount,
            kind=REVERSAL,
            reference=str(self.number),
            note=reason,
            cause=sent,
        )

    def recalled(self, recall: int, position: int, amount: int, received: uuid.UUID, *, expired: bool) -> Transfer:
        """Coins of one lot, from their receiver (or from what expired in that lot) back on the way to their purchase.
        `received` is the transfer that had made the lot."""
        kind = EXPIRED_RECALLED if expired else GIFT_RECALLED
        source = system(EXPIRED, self.asset, self.environment) if expired else self.given_to
        return Transfer(
            scope=kind,
            key=f"{recall}:{self.number}:{position}",
            debit=source,
            credit=self.transit,
            amount=amount,
            kind=kind,
            reference=str(self.number),
            cause=received,
        )

    def _transfer(
        self,
        scope: str,
        key: str,
        debit: AccountName,
        credit: AccountName,
        amount: int,
        kind: str,
        lot: Lot | None = None,
    ) -> Transfer:
        return Transfer(
            scope=scope,
            key=key,
            debit=debit,
            credit=credit,
            amount=amount,
            kind=kind,
            reference=str(self.number),
            note=self.message,
            actor=self.actor,
            lot=lot,
        )
