"""Freezing wallets: a frozen one refuses spends and holds, and still takes credits. Every change says who and why."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select

from app.domain import account_events as marks
from app.domain import representations
from app.domain.event_types import EventType
from app.domain.ledger import WALLET, AccountName, wallet
from app.domain.numbers import keyed_uuid, slot_of_user
from app.models.base import AnyRow
from app.models.ledger import ACCOUNTS
from app.models.refunds import Freeze
from app.services.base.context import Core, Tx
from app.services.base.errors import KeyReused, NotFound
from app.services.base.idempotency import Keyed, decided_once
from app.services.base.list_pages import ListPage, ListPlace, page_of
from app.services.base.upsert import insert_numbered
from app.services.ledger.ledger_transaction import LedgerTransaction

BY_POLICY = "policy"
"""The actor where the policy of a refund froze a wallet."""
_A, _z = ACCOUNTS.c, Freeze.__table__.c
_ENTRY = select(*_z).where(_z.slot == bindparam("slot"), _z.id == bindparam("id"))
_REQUESTED = select(*_z).where(_z.slot == bindparam("slot"), _z.request == bindparam("request"))
_WALLETS = (
    select(_A.asset)
    .where(
        _A.slot == bindparam("p_slot"),
        _A.user_id == bindparam("p_user"),
        _A.code == WALLET,
        _A.environment == bindparam("p_environment"),
    )
    .order_by(_A.asset)
)


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody wants: the user's wallet of one asset, or (None) every wallet in the environment."""

    user_id: str
    environment: str
    asset: str | None
    frozen: bool
    reason: str
    actor: str


def change_freeze(core: Core, wanted: Change, request: Keyed) -> int:
    """Freeze or unfreeze, and write down who did it and why; the number of that entry. Repeating the request with its
    key changes nothing, even if the wallet has been unfrozen since, or nobody remembers the key any more."""
    slot = slot_of_user(wanted.user_id)
    name = keyed_uuid(slot, f"freeze:{request.caller}", request.key)

    def decide(tx: Tx) -> int:
        known = tx.execute(_REQUESTED, {"slot": slot, "request": name}).one_or_none()
        return apply(tx, slot, wanted, request=name) if known is None else _still_known(known, wanted)

    return decided_once(core, slot, request, decide)


def _still_known(row: AnyRow, wanted: Change) -> int:
    """The number of an entry whose key was forgotten. Raises KeyReused if the entry is not what is wanted now."""
    for field in ("user_id", "environment", "asset", "frozen", "reason", "actor"):
        if getattr(row, field) != getattr(wanted, field):
            raise KeyReused(field=field)
    return int(row.id)


def apply(tx: Tx, slot: int, wanted: Change, *, refund_id: int | None = None, request: uuid.UUID | None = None) -> int:
    """Freeze or unfreeze in the caller's transaction; the number of the entry.

    Raises NotFound for a user without any wallet there: a name misspelt.
    """
    names = _names(tx, slot, wanted)
    if not names:
        raise NotFound(user=wanted.user_id, environment=wanted.environment)
    at = tx.now
    row: dict[str, Any] = {
        "slot": slot,
        "user_id": wanted.user_id,
        "asset": wanted.asset,
        "environment": wanted.environment,
        "frozen": wanted.frozen,
        "reason": wanted.reason,
        "actor": wanted.actor,
        "refund_id": refund_id,
        "at": at,
        "request": request,
    }
    number = insert_numbered(tx, Freeze.__table__, tx.core.numbers, row)
    entry_made = marks.Freezing(**{name: value for name, value in row.items() if name != "slot"}, id=number)
    with LedgerTransaction(tx, [(slot, name) for name in names]) as books:
        for name in names:
            book = books.book(slot, name)
            book.frozen = wanted.frozen
            books.mark(book, entry_made.kind, entry_made.subject, 0, entry_made.content())
        kind = EventType.WALLET_FROZEN if wanted.frozen else EventType.WALLET_UNFROZEN
        shown = {"freeze": representations.freeze_data(entry_made)}
        books.tell(books.book(slot, names[0]), kind, shown, wanted.actor)
    return number


def history(core: Core, user_id: str, place: ListPlace | None, limit: int) -> ListPage[AnyRow]:
    """A page of the freezings and unfreezings of the user's wallets, oldest first."""
    slot, after = slot_of_user(user_id), 0 if place is None else place[0]
    wanted = select(*_z).where(_z.slot == slot, _z.user_id == user_id, _z.id > after).order_by(_z.id).limit(limit + 1)
    return page_of(core.at(slot).read(lambda tx: tx.execute(wanted).all()), limit, lambda row: (row.id,))


def entry(core: Core, slot: int, number: int) -> AnyRow:
    return core.at(slot).read(lambda tx: tx.execute(_ENTRY, {"slot": slot, "id": number}).one())


def _names(tx: Tx, slot: int, wanted: Change) -> list[AccountName]:
    if wanted.asset is not None:
        return [wallet(wanted.user_id, wanted.asset, wanted.environment)]
    values = {"p_slot": slot, "p_user": wanted.user_id, "p_environment": wanted.environment}
    assets = tx.connection().execute(_WALLETS, values)
    return [wallet(wanted.user_id, row.asset, wanted.environment) for row in assets]
