"""Transfers as they are read: one, those of a wallet, or those of all users within a day. Nothing here writes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, select

from app.domain.ledger import AccountName, NoSuchEntry
from app.domain.lots import uses_in
from app.domain.numbers import slot_of_number, slot_of_user
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.base.context import Core, Tx
from app.services.base.list_pages import (
    ListPage,
    ListPlace,
    SpanBounds,
    TimeSpan,
    beyond,
    page_everywhere,
    page_of,
    place_at,
    uuid_of_number,
    values_of,
    within,
)
from app.services.base.statements import Statement
from app.services.ledger import accounts

A, T = ACCOUNTS.c, TRANSFERS.c
_FROM, _TO = ACCOUNTS.alias("debited"), ACCOUNTS.alias("credited")
_LAST_VERSION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TransferFilter:
    """Which transfers are listed. Without an account: those of all users and of the house, perhaps of one asset or
    environment only."""

    account: AccountName | None = None
    """A wallet, or what its user owes."""
    asset: str | None = None
    environment: str | None = None
    kind: str | None = None
    made: TimeSpan = field(default_factory=TimeSpan)
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class ListedTransfer:
    """A transfer as it stands in the books. `balance` is that of the user's account after it."""

    id: uuid.UUID
    kind: str
    asset: str
    environment: str
    amount: int
    debit: str
    """Code of the account that it came from."""
    credit: str
    """Code of the account that it went to."""
    from_user: str
    to_user: str
    """The user of that account; empty for an account of the house."""
    version: int
    balance: int
    reference: str
    note: str
    actor: str | None
    """Who asked for it; empty for the service itself. None: that is not told."""
    cause: uuid.UUID | None
    """The hold that it captured, or the transfer that it reversed."""
    at: datetime

    @property
    def user(self) -> str | None:
        """Whose account it moved; None where it moved none but the house's."""
        return self.from_user or self.to_user or None


@dataclass(frozen=True, slots=True)
class LotPart:
    """So many coins of one lot."""

    lot: int
    amount: int


_TRANSFERS = (
    select(
        *(T.id, T.kind, _FROM.c.asset, _FROM.c.environment, T.amount),
        *(_FROM.c.code.label("debit"), _TO.c.code.label("credit")),
        *(_FROM.c.user_id.label("from_user"), _TO.c.user_id.label("to_user")),
        *(T.version, T.balance, T.reference, T.note, T.actor, T.cause_id, T.created_at),
    )
    .join_from(TRANSFERS, _FROM, and_(_FROM.c.slot == T.slot, _FROM.c.id == T.debit_id))
    .join(_TO, and_(_TO.c.slot == T.slot, _TO.c.id == T.credit_id))
)
"""The columns are the fields of ListedTransfer, in their order."""
_ONE = Statement(_TRANSFERS.add_columns(T.lot, T.uses).where(T.slot == bindparam("slot"), T.id == bindparam("id")))
_BOOK = select(A.id).where(*accounts.names_account()).scalar_subquery()


def _conditions(by_kind: bool, bounds: SpanBounds) -> list[ColumnElement[bool]]:
    conditions = within(T.created_at, bounds)
    return [*conditions, T.kind == bindparam("kind")] if by_kind else conditions


@cache
def _of_account(by_kind: bool, bounds: SpanBounds, newest_first: bool) -> Statement:
    """By the versions of the account, whose times never go back."""
    beyond_version = T.version < bindparam("version") if newest_first else T.version > bindparam("version")
    return Statement(
        _TRANSFERS.where(T.slot == bindparam("slot"), T.book_id == _BOOK, beyond_version, *_conditions(by_kind, bounds))
        .order_by(T.version.desc() if newest_first else T.version)
        .limit(bindparam("most"))
    )


@cache
def _of_all(
    by_kind: bool, by_asset: bool, by_environment: bool, bounds: SpanBounds, newest_first: bool, goes_on: bool
) -> Statement:
    conditions = _conditions(by_kind, bounds)
    if by_asset:
        conditions.append(_FROM.c.asset == bindparam("asset"))
    if by_environment:
        conditions.append(_FROM.c.environment == bindparam("environment"))
    if goes_on:
        conditions.append(beyond(T.created_at, T.id, newest_first=newest_first))
    columns: list[ColumnElement[Any]] = [T.created_at, T.id]
    order = [column.desc() for column in columns] if newest_first else columns
    listed = _TRANSFERS.where(*conditions).order_by(*order).limit(bindparam("most"))
    return Statement(listed.prefix_with(sweep("lists")))


def list_transfers(core: Core, wanted: TransferFilter, place: ListPlace | None, limit: int) -> ListPage[ListedTransfer]:
    """A page of transfers: those of one account by its versions, or those of all users by time. The caller gives the
    latter both ends of a short time: on a server the index by time tells only in which part of the table that is."""
    bounds, by_kind = wanted.made.bounds(), wanted.kind is not None
    values = {"kind": wanted.kind, "most": limit + 1, **wanted.made.values()}
    if wanted.account is None:
        by_asset, by_environment = wanted.asset is not None, wanted.environment is not None
        statement = _of_all(by_kind, by_asset, by_environment, bounds, wanted.newest_first, place is not None)
        values |= {"asset": wanted.asset, "environment": wanted.environment, **values_of(place, uuid_of_number)}
    else:
        statement = _of_account(by_kind, bounds, wanted.newest_first)
        first = _LAST_VERSION if wanted.newest_first else 0
        values |= accounts.account_keys((slot_of_user(wanted.account.user_id), wanted.account))
        values["version"] = first if place is None else place[0]

    def read(tx: Tx) -> list[ListedTransfer]:
        return [ListedTransfer(*row) for row in statement.rows(tx, values)]

    if wanted.account is None:
        return page_everywhere(core, read, limit, _place_in_time, newest_first=wanted.newest_first)
    return page_of(core.of_user(wanted.account.user_id).alone(read), limit, _place_in_account)


def view_transfer(core: Core, user_id: str | None, transfer_id: uuid.UUID) -> tuple[ListedTransfer, list[LotPart]]:
    """One transfer, with the lots that it made, used or gave back to; of the user's accounts, or any transfer for a
    caller who speaks for all users (None). Raises NoSuchEntry."""
    slot = slot_of_number(transfer_id.int)

    def read(tx: Tx) -> tuple[ListedTransfer, list[LotPart]] | None:
        row = _ONE.row(tx, {"slot": slot, "id": transfer_id})
        if row is None:
            return None
        *shown, lot, uses = row
        found = ListedTransfer(*shown)
        return found, [LotPart(lot, found.amount)] if lot else [LotPart(*part) for part in uses_in(uses)]

    answer = core.at(slot).alone(read)
    if answer is None or user_id not in (None, answer[0].user):
        raise NoSuchEntry(f"no transfer {transfer_id}")
    return answer


def _place_in_time(transfer: ListedTransfer) -> ListPlace:
    return place_at(transfer.at, transfer.id.int)


def _place_in_account(transfer: ListedTransfer) -> ListPlace:
    return (transfer.version,)
