"""Refunds that wait for their payment, looked at again by the worker in one sweep over all slots.

Most wait because payment and refund were told at one moment by two roads, neither of which saw the other. The others
are of money that a person gave to an order of another slot (`facts.assigned`): the provider goes on naming its old
number, so that they come to lie where the money was told. They are told again with the payment that got the money.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from operator import attrgetter

import structlog

from app.domain.matching import Mismatch
from app.domain.numbers import parse_number, slot_of_user
from app.models.base import AnyRow
from app.services.base.context import Core, Tx
from app.services.base.reported_fact import ReportedFact
from app.services.facts import claims, imported_refunds
from app.services.facts.apply import apply_fact
from app.services.payments import fact_rows, payment_rows
from app.services.refunds import early_refunds, refund_rows

WAITING_BATCH = 100
_log = structlog.get_logger(__name__)


def look_at_waiting_refunds(core: Core, after: int) -> tuple[int, int]:
    """Look at a batch of waiting refunds; (how many wait no longer, where to go on: 0 is the start)."""
    waiting = partial(refund_rows.waiting_anywhere, assigned=Mismatch.ASSIGNED, after=after, limit=WAITING_BATCH)
    rows = sorted(core.rows_everywhere(waiting), key=attrgetter("id"))[:WAITING_BATCH]
    done = sum(_looked_at(core, row) for row in rows)
    return done, int(rows[-1].id) if len(rows) == WAITING_BATCH else 0


def _looked_at(core: Core, row: AnyRow) -> bool:
    """One refund's trouble is its own: logged, and looked at again in the next sweep. True if it waits no longer."""
    try:
        return _told_there(core, row) if row.money_went_away else _applied_here(core, row)
    except Exception:
        _log.exception("waiting_refund_not_applied", fact=row.id)
        return False


# --- where it lies ---


def _applied_here(core: Core, row: AnyRow) -> bool:
    def work(tx: Tx) -> bool:
        done = early_refunds.apply_again(tx, row, row.payment_id or _payment_of(tx, row))
        if done:
            imported_refunds.follow_refunds(tx, row.slot, row.id)
        return done

    return core.at(row.slot).transact(work)


def _payment_of(tx: Tx, fact: AnyRow) -> int | None:
    ours, theirs = parse_number(fact.content["ours"]), fact.content["theirs"]
    if ours is not None:
        keys = payment_rows.payment_keys(tx, fact.slot, ours)
        return int(keys.id) if keys is not None else refund_rows.payment_assigned_here(tx, fact)
    if theirs is None:
        return None
    keys = payment_rows.payment_keys_by_theirs(tx, fact.slot, fact.provider_account, fact.environment, theirs)
    return int(keys.id) if keys is not None else None


# --- where its money went ---


def _told_there(core: Core, row: AnyRow) -> bool:
    """Two transactions, each of one slot and safe to repeat."""
    reported = _refund_there(core, row)
    if reported is None:
        return False
    core.at(reported.slot).transact(partial(apply_fact, reported=reported))
    core.at(row.slot).transact(partial(early_refunds.settle_without_a_buyer, row=row))
    return True


def _refund_there(core: Core, row: AnyRow) -> ReportedFact | None:
    """The refund, with the number of the payment that got the money. None while that is not told, or its provider
    account is not configured."""
    account = core.registry.get(row.provider_account)
    names = (row.provider_account, row.environment, row.content["theirs"])
    user = claims.owner_of(core, *names)
    if account is None or user is None:
        return None
    keys = core.of_user(user).read(lambda tx: payment_rows.payment_keys_by_theirs(tx, slot_of_user(user), *names))
    if keys is None:
        return None
    fact = fact_rows.fact_in(row)
    return ReportedFact(account, replace(fact, ref=replace(fact.ref, ours=str(keys.id))), row.road, row.message_id)
