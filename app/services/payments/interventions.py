"""What a person did by hand about a payment, its refund, or a fact: written down in the transaction that does it."""

from __future__ import annotations

from typing import Literal

from app.models.history import Intervention
from app.services.base.context import Tx
from app.services.base.sanitize import problem_text, storable_text
from app.services.base.upsert import insert_numbered

LONGEST_INTERVENER = 160
"""Characters of a person's name that are kept."""
What = Literal["payment_closed", "refund_ended", "question_ended", "fulfilment_ended", "fact_assigned", "fact_ended"]


def write_down(
    tx: Tx,
    slot: int,
    payment_id: int | None,
    what: What,
    *,
    actor: str,
    reason: str,
    refund_id: int | None = None,
    fact_id: int | None = None,
) -> None:
    """Keep who did it, when, and why. `fact_id` is for a fact that is about no payment."""
    row = {
        "slot": slot,
        "payment_id": payment_id,
        "refund_id": refund_id,
        "fact_id": fact_id,
        "what": what,
        "actor": storable_text(actor, LONGEST_INTERVENER),
        "reason": problem_text(reason),
        "at": tx.now,
    }
    insert_numbered(tx, Intervention.__table__, tx.core.numbers, row)
