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
from app.domain.numbers import number_at
from app.models.history import CallMade
from app.services.base.context import Core, Tx
from app.services.base.upsert import insertion_if_new
from app.services.base.used_slots import used_slots
from app.services.calls.provider_call import CallRecord, ProviderCall

LONGEST_SAID = 128
"""Characters of the kinds of facts in an answer; more are cut."""
MOST_DELETED = 1000
"""Rows of one slot that are deleted in one transaction."""
SLOTS_AT_ONCE = 256
"""Slots in which one round deletes old rows."""
_INSERT = insertion_if_new(CallMade.__table__)
_c = CallMade.__table__.c
_log = structlog.get_logger(__name__)


def keep_call(tx: Tx, called: ProviderCall[Any], facts: Sequence[Fact] = (), *, payment: int | None = None) -> None:
    """Write the call down with the facts that it was answered in. `payment` is the payment that came out of it, where
    the question named none of ours.

    The number was given with the call: a transaction that is repeated writes no second row.
    """
    if called.record is not None:
        tx.later(_INSERT, [_row(called, called.record, facts, payment)])


def keep_calls(tx: Tx, calls: Iterable[tuple[ProviderCall[Any], Sequence[Fact], int | None]]) -> None:
    """Write these calls down, in one statement where they are few."""
    made = [(called, called.record, facts, payment) for called, facts, payment in calls]
    rows = [_row(called, record, facts, payment) for called, record, facts, payment in made if record is not None]
    if rows:
        tx.later(_INSERT, rows)


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


def delete_old_calls(core: Core) -> int:
    """Delete rows that were kept as long as the installation wants, some of them; how many. 0: none is left.

    The slots that have any are asked for at once, and each is a transaction of its own. The numbers of a slot's rows
    rise with their time: that needs no index beside the key.
    """
    before = number_at(core.clock.now() - timedelta(days=core.rules.call_days))
    old = select(_c.slot).where(_c.id < before)
    slots = core.rows_everywhere(lambda tx: used_slots(tx, "old_calls", old, most=SLOTS_AT_ONCE))
    deleted = sum(core.at(slot).transact(partial(_delete, slot=slot, before=before)) for slot in slots)
    if deleted:
        _log.info("old_calls_deleted", calls=deleted)
    return deleted


def _delete(tx: Tx, *, slot: int, before: int) -> int:
    oldest = select(_c.id).where(_c.slot == slot, _c.id < before).order_by(_c.id).limit(MOST_DELETED)
    old = delete(CallMade).where(_c.slot == slot, _c.id.in_(oldest))
    return tx.connection().execute(old).rowcount
