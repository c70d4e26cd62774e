"""Keeps what became of each call to a provider, so that a person can read it beside the facts that it brought.

The row of a call is written in the transaction that applies its answer; where there is nothing to apply, in the one
that sets what is done next. A call whose process died has no row: the payment's own stamp says that it was asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import delete, select

from app.domain.facts import Fact
from app.domain.numbers import SLOTS, number_at
from app.models.history import CallMade
from app.models.slot_guard import sweep
from app.services.base.context import Core, Tx
from app.services.base.upsert import insertion_if_new
from app.services.calls.provider_call import CallRecord, ProviderCall

LONGEST_SAID = 128
"""Characters of the kinds of facts in an answer; more are cut."""
MOST_DELETED = 1000
"""Rows of one slot that are deleted in one transaction."""
SLOTS_AT_ONCE = 256
"""Slots that one look for old rows reads."""
_INSERT = insertion_if_new(CallMade.__table__)
_c = CallMade.__table__.c
_log = structlog.get_logger(__name__)


def keep_call(tx: Tx, called: ProviderCall[Any], facts: Sequence[Fact] = (), *, payment: int | None = None) -> None:
    """Write the call down with the facts that it was answered in. `payment` is the payment that came out of it, where
    the question named none of ours.

    The number was given with the call: a transaction that is repeated writes no second row.
    """
    if called.record is not None:
        _INSERT.run(tx, [_row(called, called.record, facts, payment)])


def keep_calls(tx: Tx, calls: Iterable[tuple[ProviderCall[Any], Sequence[Fact], int | None]]) -> None:
    """Write these calls down, in one statement where they are few."""
    made = [(called, called.record, facts, payment) for called, facts, payment in calls]
    rows = [_row(called, record, facts, payment) for called, record, facts, payment in made if record is not None]
    if rows:
        _INSERT.run(tx, rows)


def _row(called: ProviderCall[Any], record: CallRecord, facts: Sequence[Fact], payment: int | None) -> dict[str, Any]:
    subject = record.subject
    return {
        "slot": subject.slot,
        "id": record.id,
        "payment_id": subject.payment if payment is None else payment,
        "refund_id": subject.refund,
        "receipt_id": subject.receipt,
        "agreement_id": subject.agreement,
        "provider_account": record.account,
        "verb": record.verb,
        "outcome": called.end,
        "said": ", ".join(dict.fromkeys(fact.kind.value for fact in facts))[:LONGEST_SAID],
        "ms": record.ms,
        "problem": called.problem,
        "at": record.at,
    }


def delete_old_calls(core: Core, first_slot: int = 0) -> tuple[int, int | None]:
    """Delete rows that were kept as long as the installation wants, in the first range of slots from here on that has
    any; how many, and the slot to go on at: None when all slots were gone through.

    Slot by slot, since the numbers of a slot's rows rise with their time: that needs no index beside the key.
    """
    before = number_at(core.clock.now() - timedelta(days=core.rules.call_days))
    for first in range(first_slot, SLOTS, SLOTS_AT_ONCE):
        slots = core.read(partial(_slots_with_old, first=first, before=before))
        if slots:
            deleted = sum(core.transact(partial(_delete, slot=slot, before=before)) for slot in slots)
            _log.info("old_calls_deleted", calls=deleted)
            return deleted, first
    return 0, None


def _slots_with_old(tx: Tx, *, first: int, before: int) -> list[int]:
    slots = range(first, min(first + SLOTS_AT_ONCE, SLOTS))
    old = select(_c.slot).prefix_with(sweep("old_calls")).where(_c.slot.in_(slots), _c.id < before)
    return list(tx.scalars(old.distinct()))


def _delete(tx: Tx, *, slot: int, before: int) -> int:
    oldest = select(_c.id).where(_c.slot == slot, _c.id < before).order_by(_c.id).limit(MOST_DELETED)
    old = delete(CallMade).where(_c.slot == slot, _c.id.in_(oldest))
    return tx.connection().execute(old).rowcount
