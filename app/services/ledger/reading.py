"""Balances, statements, and balances in the past. Nothing here writes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import and_, bindparam, case, func, or_, select

from app.domain.ledger import OWED, WALLET, AccountName, InvalidTransfer
from app.models.ledger import ACCOUNTS, HOLDS, TRANSFERS
from app.services.base.statements import Statement
from app.services.base.transaction import Transaction
from app.services.ledger import accounts, hold_rows
from app.services.ledger.hold_rows import OPEN

A, T, H = ACCOUNTS.c, TRANSFERS.c, HOLDS.c
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""Before every hold: all of them count."""
OTHER = ACCOUNTS.alias("other")
STATEMENT_PAGE = 50
LONGEST_PAGE = 1000
_AFTER_ALL = 2**63 - 1
"""A version that no posting reaches."""


@dataclass(frozen=True, slots=True)
class Balance:
    asset: str
    environment: str
    balance: int
    held: int
    frozen: bool

    @property
    def available(self) -> int:
        return self.balance - self.held


@dataclass(frozen=True, slots=True)
class Debt:
    """Refunded coins that were spent. Whatever enters the wallet repays first: see `LedgerTransaction.repay`."""

    asset: str
    environment: str
    amount: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a user has and owes, by asset and environment."""

    balances: tuple[Balance, ...]
    debts: tuple[Debt, ...]


class Line(NamedTuple):
    """One posting on an account. `amount` is signed: what the account gained. (A named tuple is made four times as fast
    as a frozen dataclass, and a page has up to 200.)"""

    version: int
    transfer: uuid.UUID
    amount: int
    balance: int
    kind: str
    reference: str
    note: str
    other: str
    """Code of the account on the other side."""
    at: datetime
    actor: str | None = None
    """Who asked for it; None unless the reader is told."""


@dataclass(frozen=True, slots=True)
class StatementPage:
    lines: tuple[Line, ...]
    cursor: int | None
    """Give it back for the next page; None when there is no more."""


_OVER = (
    select(func.coalesce(func.sum(H.amount - H.captured - H.released), 0))
    .where(H.slot == A.slot, H.account_id == A.id, H.state == OPEN, H.expires_at <= bindparam("p_at"))
    .scalar_subquery()
)
"""Coins of holds whose time is over: for every reader these holds have ended, also before the worker ends them."""
_HOLDINGS = Statement(
    select(A.code, A.asset, A.environment, A.balance, (A.held - _OVER).label("held"), A.frozen)
    .where(A.slot == bindparam("p_slot"), A.user_id == bindparam("p_user"), or_(A.code == WALLET, A.code == OWED))
    .order_by(A.asset, A.environment)
)
_OTHER_ID = case((T.debit_id == T.book_id, T.credit_id), else_=T.debit_id)
_BOOK = select(A.id).where(*accounts.names_account()).scalar_subquery()
_LINES = (
    select(
        T.version,
        T.id,
        case((T.debit_id == T.book_id, -T.amount), else_=T.amount).label("gained"),
        T.balance,
        T.kind,
        T.reference,
        T.note,
        OTHER.c.code.label("other"),
        T.created_at,
        T.actor,
    )
    .join(OTHER, and_(OTHER.c.slot == T.slot, OTHER.c.id == _OTHER_ID))
    .where(T.slot == bindparam("slot"), T.book_id == _BOOK)
    .limit(bindparam("p_limit"))
)
"""The columns are the fields of Line, in their order."""
_FORWARD = Statement(_LINES.where(T.version > bindparam("p_cursor")).order_by(T.version))
_BACKWARD = Statement(_LINES.where(T.version < bindparam("p_cursor")).order_by(T.version.desc()))
_VERSION = select(T.created_at, T.balance).where(
    T.slot == bindparam("p_slot"), T.book_id == bindparam("p_book"), T.version == bindparam("p_version")
)


def holdings(tx: Transaction, slot: int, user_id: str, *, at: datetime | None = None) -> Holdings:
    """Every wallet of the user and every debt, in one statement. Holds whose time is over at that moment do not count.

    Coins that expired a moment ago may still be counted: the worker, or the next spend, takes them out by a transfer.
    """
    rows = _HOLDINGS.rows(tx, {"p_slot": slot, "p_user": user_id, "p_at": at or _NO_TIME})
    balances, debts = [], []
    for code, asset, environment, amount, held, frozen in rows:
        if code == WALLET:
            balances.append(Balance(asset, environment, amount, int(held), bool(frozen)))
        elif amount > 0:
            debts.append(Debt(asset, environment, amount))
    return Holdings(tuple(balances), tuple(debts))


def balances(tx: Transaction, slot: int, user_id: str, *, at: datetime | None = None) -> tuple[Balance, ...]:
    """Every wallet of the user."""
    return holdings(tx, slot, user_id, at=at).balances


def balance(tx: Transaction, slot: int, account: AccountName, *, at: datetime | None = None) -> Balance:
    """One account that keeps a balance; zero if it was never used. Holds whose time is over do not count."""
    _must_keep(account)
    book = accounts.find_account(tx, slot, account)
    if book is None:
        return Balance(account.asset, account.environment, 0, 0, False)
    over = hold_rows.over(tx, slot, book.id, at) if at is not None and book.held else []
    held = book.held - sum(each.rest for each in over)
    return Balance(account.asset, account.environment, book.balance, held, book.frozen)


def statement(
    tx: Transaction,
    slot: int,
    account: AccountName,
    *,
    cursor: int | None = None,
    limit: int = STATEMENT_PAGE,
    newest_first: bool = False,
    with_actors: bool = False,
) -> StatementPage:
    """A page of postings in the order of their versions, which have no gaps. The cursor is a version."""
    _must_keep(account)
    limit = max(1, min(limit, LONGEST_PAGE))
    start = cursor if cursor is not None else (_AFTER_ALL if newest_first else 0)
    # One line more than is wanted tells whether there is another page.
    values = {**accounts.account_keys((slot, account)), "p_cursor": start, "p_limit": limit + 1}
    rows = (_BACKWARD if newest_first else _FORWARD).rows(tx, values)
    more = len(rows) > limit
    lines = tuple([Line(*(row if with_actors else row[:-1])) for row in rows[:limit]])
    return StatementPage(lines, lines[-1].version if more else None)


def balance_at(tx: Transaction, slot: int, account: AccountName, moment: datetime) -> int:
    """What the account held at that moment: after the last posting that is not later.

    Times of one account never go back, so the posting is found by halving: some 20 look-ups for a million postings.
    """
    _must_keep(account)
    book = accounts.find_account(tx, slot, account)
    if book is None:
        return 0
    low, high, found = 0, book.version, 0
    while low < high:
        middle = (low + high + 1) // 2
        values = {"p_slot": slot, "p_book": book.id, "p_version": middle}
        at, after = tx.connection().execute(_VERSION, values).one()
        if at <= moment:
            low, found = middle, after
        else:
            high = middle - 1
    return found


def _must_keep(account: AccountName) -> None:
    if not account.keeps_balance:
        raise InvalidTransfer("a system account has no statement: its balance is the sum of its legs")
