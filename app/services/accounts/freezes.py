"""Freezing wallets: a frozen one refuses spends and holds, and still takes credits. Every change says who and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select

from app.domain import account_events as marks
from app.domain.ledger import WALLET, AccountName, wallet
from app.domain.numbers import slot_of_user
from app.models.base import AnyRow
from app.models.ledger import ACCOUNTS
from app.models.refunds import Freeze
from app.services.base.context import Core, Tx
from app.services.base.errors import NotFound
from app.services.base.idempotency import Keyed, claim_key, find_key
from app.services.base.upsert import insert_numbered
from app.services.ledger.ledger_transaction import LedgerTransaction

POLICY = "policy"
"""The actor where the policy of a refund froze a wallet."""
_A, _z = ACCOUNTS.c, Freeze.__table__.c
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


def change(core: Core, wanted: Change, request: Keyed) -> int:
    """Freeze or unfreeze, and write down who did it and why; the number of that entry. Repeating the request with its
    key changes nothing, even if the wallet has been unfrozen since."""
    slot = slot_of_user(wanted.user_id)

    def work(tx: Tx) -> int:
        known = find_key(tx, slot, request)
        if known is not None:
            return known
        number = apply(tx, slot, wanted)
        return claim_key(tx, slot, request, number, core.clock.now()) or number

    return core.transact(work)


def apply(tx: Tx, slot: int, wanted: Change, *, refund_id: int | None = None) -> int:
    """The same in the caller's transaction. Raises NotFound for a user without any wallet there: a name misspelt."""
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
    }
    number = insert_numbered(tx, Freeze.__table__, tx.core.numbers, row)
    entry_made = marks.Freezing(**{name: value for name, value in row.items() if name != "slot"}, id=number)
    with LedgerTransaction(tx, tx.core.rules.ledger, [(slot, name) for name in names], at) as books:
        for name in names:
            book = books.book(slot, name)
            book.frozen = wanted.frozen
            books.mark(book, entry_made.kind, entry_made.subject, 0, entry_made.content())
    return number


def history(core: Core, user_id: str) -> Sequence[AnyRow]:
    """Every freezing and unfreezing of the user's wallets, oldest first."""
    slot = slot_of_user(user_id)
    wanted = select(*_z).where(_z.slot == slot, _z.user_id == user_id).order_by(_z.id)
    return core.read(lambda tx: tx.execute(wanted).all())


def entry(core: Core, slot: int, number: int) -> AnyRow:
    return core.read(lambda tx: tx.execute(select(*_z).where(_z.slot == slot, _z.id == number)).one())


def _names(tx: Tx, slot: int, wanted: Change) -> list[AccountName]:
    if wanted.asset is not None:
        return [wallet(wanted.user_id, wanted.asset, wanted.environment)]
    values = {"p_slot": slot, "p_user": wanted.user_id, "p_environment": wanted.environment}
    assets = tx.connection().execute(_WALLETS, values)
    return [wallet(wanted.user_id, row.asset, wanted.environment) for row in assets]
