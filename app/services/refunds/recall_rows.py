"""The statements on recalls: coins of a refunded purchase that are asked for where they were given to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update

from app.domain.numbers import slot_of_number
from app.domain.refunding import Clawback
from app.models.base import AnyRow
from app.models.gifts import RECALLS
from app.services.base.context import Tx
from app.services.base.transaction import Transaction
from app.services.base.upsert import insert_numbered
from app.services.ledger.clawback import ClawbackTarget, StatementText
from app.services.ledger.given_coins import gifts_of_payment
from app.services.refunds.captured_payments import CapturedPayment

OPEN, DONE = "open", "done"
OWN_KIND, OTHER_KIND = 1, 2
"""The rounds of a recall: coins of the refunded kind (paid or bonus) first, wherever they are; then the others."""
_R = RECALLS.c
_RECALL = select(*_R).where(_R.slot == bindparam("p_slot"), _R.id == bindparam("p_id"))
_LOCK = _RECALL.with_for_update()


def add(
    tx: Tx, captured: CapturedPayment, claim: ClawbackTarget, wanted: int, *, policy: Clawback, words: StatementText
) -> int:
    """Write down that so many coins are asked back, due at once; the number. The caller has booked them as gone."""
    if captured.payment is None:
        raise RuntimeError("coins were bought without a payment of ours")
    gifts = gifts_of_payment(tx, captured.slot, claim.wallet, claim.lot.payment)
    row = {
        "slot": captured.slot,
        "payment_id": captured.payment.id,
        "theirs": captured.theirs,
        "grant_id": claim.grant,
        "asset": claim.wallet.asset,
        "environment": claim.wallet.environment,
        "bonus": claim.lot.bonus,
        "wanted": wanted,
        "taken": 0,
        "places": [str(number) for number in gifts],
        "asked": [],
        "round": OWN_KIND,
        "policy": policy,
        "reference": words.reference,
        "note": words.note,
        "status": OPEN,
        "created_at": tx.now,
        "done_at": None,
        "next_try_at": tx.now,
        "tries": 0,
    }
    return insert_numbered(tx, RECALLS, tx.core.numbers, row)


def find_recall(tx: Transaction, number: int) -> AnyRow | None:
    return tx.execute(_RECALL, _key(number)).one_or_none()


def lock_recall(tx: Transaction, number: int) -> AnyRow:
    """The recall as it stands, locked until the transaction ends."""
    return tx.execute(_LOCK, _key(number)).one()


def change_recall(tx: Transaction, row: AnyRow, **values: Any) -> None:
    """Write how far it has come. The caller has locked it."""
    tx.execute(update(RECALLS).where(_R.slot == row.slot, _R.id == row.id).values(**values))


def postpone_recall(tx: Transaction, number: int, until: datetime) -> None:
    """Look at a recall that cannot go on no sooner than that."""
    wanted = (_R.slot == slot_of_number(number), _R.id == number, _R.status == OPEN)
    tx.execute(update(RECALLS).where(*wanted).values(next_try_at=until))


def _key(number: int) -> dict[str, int]:
    return {"p_slot": slot_of_number(number), "p_id": number}
