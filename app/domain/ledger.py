"""What the ledger is made of: names of accounts, transfers between them, and the proof that ties postings together.

A transfer moves a positive whole amount of one asset from one account (`debit`) to another (`credit`). At most one of
the two is a user's own; money and coins that pass between users go through a system account. Accounts of users keep a
running balance and a hash chain; system accounts keep neither, their balance is the sum of their legs. A transfer
between two system accounts is chained on the `journal` of its slot, asset and environment, so that no row of the
ledger stands outside a chain.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import NamedTuple

from app.domain.numbers import keyed_uuid

MAX_AMOUNT = 2**63 - 1
WALLET = "wallet"
OWED = "debt"
"""The code of the account of what a user owes."""
JOURNAL = "journal"
ISSUANCE = "issuance"
REVENUE = "revenue"
EXPIRED = "expired"
ADJUSTMENT = "adjustment"
ENVIRONMENTS = ("live", "sandbox")
LONGEST = {"code": 80, "user_id": 128, "kind": 32, "reference": 128, "note": 255, "actor": 128}
"""Most characters of each text in the books."""

_ASSET = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_canonical = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_quoted = json.encoder.encode_basestring


class LedgerError(ValueError):
    """The ledger will not do that. `code` is stable and meant for machines."""

    code = "ledger_error"


class InvalidTransfer(LedgerError):
    """Not a transfer at all: amount out of range, two assets, two wallets, a text that is too long."""

    code = "invalid_transfer"


class KeyConflict(LedgerError):
    """The key was used before with other content. The first use stands."""

    code = "key_conflict"

    def __init__(self, message: str, field: str) -> None:
        super().__init__(f"{message}: another {field}" if field else message)
        self.field = field
        """What differs, where that is known: `amount`, `reference`, `lot.expires_at`, …"""


class BalanceOverflow(LedgerError):
    """The balance would pass 2^63 - 1."""

    code = "balance_overflow"


class InsufficientFunds(LedgerError):
    """A transfer that must not fail would take more than there is."""

    code = "insufficient_funds"


class NoSuchEntry(LedgerError):
    """The hold or transfer is not in this slot."""

    code = "not_found"


class AccountName(NamedTuple):
    """The identity of an account inside its slot. `user_id` is empty for system accounts. New names are made by
    `wallet` and `system`, which check them.

    A sandbox purchase never touches a live balance: the environment is part of the name.
    """

    user_id: str
    code: str
    asset: str
    environment: str

    @property
    def is_wallet(self) -> bool:
        return self.code == WALLET and self.user_id != ""

    @property
    def keeps_balance(self) -> bool:
        """Whether the row carries a running balance: the accounts of users do, system accounts do not."""
        return self.user_id != ""


def wallet(user_id: str, asset: str, environment: str = "live") -> AccountName:
    """The user's own coins."""
    if not user_id:
        raise InvalidTransfer("a wallet needs a user")
    return _checked(AccountName(user_id, WALLET, asset, environment))


@lru_cache(maxsize=4096)
def system(code: str, asset: str, environment: str = "live") -> AccountName:
    """An account of the house: `issuance`, `revenue`, `clearing:<provider account>`, …; there is one in each slot."""
    return _checked(AccountName("", code, asset, environment))


def debt_of(wallet: AccountName) -> AccountName:
    """The account of what the wallet's user owes in its asset (`app.domain.debts`)."""
    return AccountName(wallet.user_id, OWED, wallet.asset, wallet.environment)


def _checked(name: AccountName) -> AccountName:
    if not _ASSET.fullmatch(name.asset):
        raise InvalidTransfer(f"not an asset: {name.asset!r}")
    if name.environment not in ENVIRONMENTS:
        raise InvalidTransfer(f"not an environment: {name.environment!r}")
    if not name.code or len(name.code) > LONGEST["code"] or len(name.user_id) > LONGEST["user_id"]:
        raise InvalidTransfer(f"not an account name: {name.code!r} of {name.user_id!r}")
    return name


@dataclass(frozen=True, slots=True)
class Lot:
    """What a credit to a wallet brought in: where from, paid or bonus, and until when it may be spent."""

    bonus: bool = True
    expires_at: datetime | None = None
    payment: str = ""
    """Number of the payment that bought it."""
    product: str = ""
    """Sku of the product that it came with."""
    value_minor: int = 0
    """Money paid for the whole lot, in minor units of `currency`; what is unspent of it is deferred revenue."""
    currency: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.value_minor <= MAX_AMOUNT:
            raise InvalidTransfer("the value of a lot is a non-negative 63-bit integer")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise InvalidTransfer("a lot's expiry needs a time zone")
        if len(self.payment) > 64 or len(self.product) > 128 or len(self.currency) > 3:
            raise InvalidTransfer("a lot names its payment, product or currency at too great length")

    def content(self) -> list[object]:
        expires = None if self.expires_at is None else microseconds(self.expires_at)
        return [self.bonus, expires, self.payment, self.product, self.value_minor, self.currency]


@dataclass(frozen=True)
class Transfer:
    """What is to be booked. `scope` and `key` are its identity: the same pair is the same transfer for ever."""

    scope: str
    key: str
    debit: AccountName
    credit: AccountName
    amount: int
    kind: str
    reference: str = ""
    """Order, payment or the app's own reference; shown in the statement."""
    note: str = ""
    """Why, for people."""
    actor: str = ""
    """Who asked for it, where that is a person or a caller."""
    cause: uuid.UUID | None = None
    """The hold that it captures or the transfer that it reverses."""
    lot: Lot | None = None
    """For credits to a wallet. None: a bonus lot without expiry."""
    effective_at: datetime | None = None
    """When it happened, where a fact or a bill tells of it. None: when it was booked. No part of the content: a fact
    that is told twice is one transfer."""

    def __post_init__(self) -> None:
        if type(self.amount) is not int or not 0 < self.amount <= MAX_AMOUNT:
            raise InvalidTransfer(f"an amount is between 1 and 2^63 - 1, not {self.amount!r}")
        if self.debit == self.credit:
            raise InvalidTransfer("debit and credit are the same account")
        if (self.debit.asset, self.debit.environment) != (self.credit.asset, self.credit.environment):
            raise InvalidTransfer("both accounts must hold the same asset in the same environment")
        if self.debit.user_id and self.credit.user_id:
            raise InvalidTransfer("from user to user goes through a system account")
        if self.lot is not None and not self.credit.is_wallet:
            raise InvalidTransfer("only what enters a wallet comes as a lot")
        for text in ("kind", "reference", "note", "actor"):
            if len(getattr(self, text)) > LONGEST[text]:
                raise InvalidTransfer(f"{text} is longer than {LONGEST[text]} characters")

    @cached_property
    def book(self) -> AccountName:
        """The account whose version, running balance and chain this transfer continues."""
        if self.debit.user_id:
            return self.debit
        if self.credit.user_id:
            return self.credit
        return system(JOURNAL, self.debit.asset, self.debit.environment)

    @cached_property
    def lot_made(self) -> Lot | None:
        """The lot that this transfer makes, if it makes one. Restoring lots (a reversal) makes none."""
        return (self.lot or Lot()) if self.credit.is_wallet and self.kind != REVERSAL else None

    def id_in(self, slot: int) -> uuid.UUID:
        return keyed_uuid(slot, self.scope, self.key)

    def fingerprint(self, slot: int) -> bytes:
        """SHA-256 of the content. Two transfers with one id must have one fingerprint."""
        lot = None if self.lot_made is None else self.lot_made.content()
        return fingerprint_between(
            names_of(self.debit, self.credit),
            self.id_in(slot),
            self.amount,
            (self.kind, self.reference, self.note, self.actor),
            self.cause,
            lot,
        )


REVERSAL, EXPIRY = "reversal", "expiry"


def names_of(debit: AccountName, credit: AccountName) -> str:
    """The two accounts as they stand in the canonical content."""
    parts = (debit.user_id, debit.code, credit.user_id, credit.code, debit.asset, debit.environment)
    return ",".join(map(_quoted, parts))


def fingerprint_between(
    names: str,
    transfer_id: uuid.UUID,
    amount: int,
    texts: tuple[str, str, str, str],
    cause: uuid.UUID | None,
    lot: list[object] | None,
) -> bytes:
    """SHA-256 of a transfer's canonical content: a JSON array without spaces, in UTF-8, times in microseconds since
    1970. The audit does it for every transfer there is, and so spells out two accounts' names only once."""
    kind, reference, note, actor = map(_quoted, texts)
    end = "null" if cause is None else f'"{cause.hex}"'
    made = "null" if lot is None else _canonical(lot)
    content = f'["transfer-1","{transfer_id.hex}",{names},{amount},{kind},{reference},{note},{actor},{end},{made}]'
    return sha256(content.encode()).digest()


def digest_of(*content: object) -> bytes:
    """SHA-256 of other canonical content (a hold, a refused request), in the same spelling."""
    return sha256(_canonical(content).encode()).digest()


def genesis(slot: int, name: AccountName) -> bytes:
    """The head of an account without postings: its own name, so that no chain can be moved to another account."""
    return digest_of("account-1", slot, *name)


def next_head(head: bytes, fingerprint: bytes, lot: int, at_us: int, uses: Sequence[tuple[int, int]] = ()) -> bytes:
    """The chain: SHA-256 of the previous head, the content, the lot used (0: none or several), the time and, where
    several lots were used, each lot's version and amount. Numbers are 8 bytes, big-endian.

    The first four parts are also computed by the database itself, in the UPDATE of a plain spend.
    """
    content = head + fingerprint + lot.to_bytes(8, "big") + at_us.to_bytes(8, "big")
    for version, amount in uses:
        content += version.to_bytes(8, "big") + amount.to_bytes(8, "big")
    return sha256(content).digest()


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970-01-01T00:00:00Z, exactly (no float)."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(us: int) -> datetime:
    return _EPOCH + us * _MICROSECOND


@dataclass(frozen=True, slots=True)
class Posted:
    """A transfer that is in the books. `version` and `balance` are those of its book after it."""

    id: uuid.UUID
    amount: int
    balance: int
    version: int
    at: datetime
    repeated: bool = False
    """True when this call found it already there."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A definite no, remembered under the key: asking again with the same key gives the same answer."""

    id: uuid.UUID
    code: str
    details: Mapping[str, int | str] = field(default_factory=dict)
    repeated: bool = False
