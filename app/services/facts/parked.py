"""Looks again at parked facts: their cause may have come since (an order restored, a product imported, a buyer known),
or a new version may act on what an older one only kept.

The worker does it by itself for facts of the last 30 days, an operator by hand for any. Both go through the rules and
locks of `apply_fact`, so looking again at any time, any number of times, at once, credits nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import attrgetter

import structlog
from sqlalchemy import ColumnElement, func, literal_column, or_, select, tuple_

from app.domain.facts import Kind
from app.domain.matching import Mismatch
from app.domain.numbers import slot_of_number
from app.domain.refunding import RefundStatus
from app.domain.retries import RETRIES, Retried
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.models.orders import FactRow
from app.models.refunds import Refund
from app.models.slot_guard import sweep as sweep_named
from app.services.accounts.catalog import product_of_store
from app.services.base.context import Core, Tx
from app.services.base.reported_fact import ReportedFact
from app.services.facts.apply import apply_stored
from app.services.facts.owner import place, tell
from app.services.facts.record import HANDLED, Applied, can_be_looked_at_again
from app.services.payments import fact_rows, payment_rows
from app.services.refunds import unsized_payments
from app.services.refunds.early_refunds import settle_without_a_buyer

PARKED_BATCH = 100
MAY_GET_A_CAUSE = (Mismatch.UNKNOWN_NUMBER, Mismatch.UNKNOWN_PRODUCT, Mismatch.NOT_HANDLED, Mismatch.REFUNDS_UNKNOWN)
"""Why a fact is parked that the worker looks at. Refunds before their payment have a sweep of their own
(`facts.waiting_refunds`)."""
ParkedPlace = tuple[datetime, int]
"""Where a sweep is: moment and number of the last fact that it saw."""
PARKED_START: ParkedPlace = (datetime(1970, 1, 1, tzinfo=UTC), 0)
_f, _r = FactRow.__table__.c, Refund.__table__.c
# Literals, so that the partial indexes serve: one of the few waiting facts, one of those that are not ours.
_LISTED: dict[str, ColumnElement[bool]] = {
    outcome: _f.outcome == literal_column(f"'{outcome}'")
    for outcome in (Outcome.PARKED, Outcome.SURPLUS, Outcome.NOT_OURS)
}
_went_back = (
    select(func.coalesce(func.sum(_r.amount_minor - _r.undone_minor), 0))
    .where(
        _r.slot == _f.slot,
        _r.payment_id == _f.payment_id,
        _r.theirs == _f.content["theirs"].as_string(),
        _r.status == RefundStatus.DONE,
    )
    .scalar_subquery()
)
_paid_minor = _f.content["amount_minor"].as_integer()
_STILL_HERE = or_(_paid_minor.is_(None), _paid_minor > _went_back)
"""Whether money of a payment is still with us, or may be where a store tells no amount."""
_log = structlog.get_logger(__name__)


class NotReexamined(Exception):
    """Looking again at this fact is not possible, or could not change anything. The text says why."""


def list_parked(tx: Tx, outcome: str, limit: int, theirs: str | None = None) -> Sequence[AnyRow]:
    """Facts that are parked, surplus or not ours, oldest first, for the operator; only those that name that number, if
    one is given: the provider's, or one that looks like ours. A surplus that went back whole needs nobody."""
    wanted = select(*_f).prefix_with(sweep_named("operator")).where(_LISTED[outcome])
    if outcome == Outcome.SURPLUS:
        wanted = wanted.where(_STILL_HERE)
    if theirs is not None:
        wanted = wanted.where(or_(_f.content["theirs"].as_string() == theirs, _f.content["ours"].as_string() == theirs))
    return tx.execute(wanted.order_by(_f.recorded_at, _f.id).limit(limit)).all()


def counts_not_ours(tx: Tx) -> dict[str, int]:
    """How many facts are not ours, by provider account."""
    # By the slot as well: so the slots that are in two databases, because they are moved, can be left out.
    wanted = (
        select(_f.slot, _f.provider_account, func.count().label("facts"))
        .prefix_with(sweep_named("operator"))
        .where(_LISTED[Outcome.NOT_OURS])
    )
    counts = Counter[str]()
    for row in tx.execute(wanted.group_by(_f.slot, _f.provider_account)):
        counts[row.provider_account] += row.facts
    return dict(counts)


def reexamine(core: Core, number: int) -> Applied:
    """Look again at one parked fact, because an operator says so. Raises NotReexamined."""
    slot = slot_of_number(number)
    wanted = select(*_f).where(_f.slot == slot, _f.id == number)
    row = core.at(slot).read(lambda tx: tx.execute(wanted).one_or_none())
    if row is None:
        raise NotReexamined("there is no such fact")
    if not can_be_looked_at_again(row):
        raise NotReexamined(f"it is {row.outcome} {row.reason}".strip() + ": that is decided")
    reported = _telling(core, row)
    if reported is None:
        raise NotReexamined(f"provider account {row.provider_account!r} is not configured")
    return _apply(core, reported, row)


def credit_held(core: Core, payment_id: int) -> bool:
    """Credit a payment that was held until it is known how much of it was refunded, if that is known now; whether it
    was credited. Should this process die before, the worker credits the payment (`look_at_parked`)."""
    held = core.of_number(payment_id).read(
        lambda tx: unsized_payments.held_fact(tx, slot_of_number(payment_id), payment_id, None)
    )
    return held is not None and _guarded(core, held)


def look_at_parked(core: Core, after: ParkedPlace) -> tuple[int, ParkedPlace]:
    """Look at a batch of recent parked facts, over all slots; (how many ended, where to go on: START when through)."""
    # Older ones are looked at by hand only: a history may list any number of facts that will never be ours.
    within = RETRIES[Retried.WAITING_FACT].within or timedelta.max
    wanted = partial(_recent, after=max(after, (core.clock.now() - within, 0)))
    rows = sorted(core.rows_everywhere(wanted), key=attrgetter("recorded_at", "id"))[:PARKED_BATCH]
    done = sum(_guarded(core, row) for row in rows)
    return done, (rows[-1].recorded_at, rows[-1].id) if len(rows) == PARKED_BATCH else PARKED_START


def _recent(tx: Tx, after: ParkedPlace) -> Sequence[AnyRow]:
    wanted = (
        select(*_f)
        .prefix_with(sweep_named("due_payments"))
        .where(
            _LISTED[Outcome.PARKED],
            _f.reason.in_(MAY_GET_A_CAUSE),
            tuple_(_f.recorded_at, _f.id) > after,
        )
        .order_by(_f.recorded_at, _f.id)
        .limit(PARKED_BATCH)
    )
    return tx.execute(wanted).all()


def _guarded(core: Core, row: AnyRow) -> bool:
    """One fact's trouble is its own: logged, and looked at again in the next sweep. True if it waits no longer."""
    try:
        reported = _telling(core, row)
        if reported is None or not _has_cause_now(core, reported, row):
            return False
        return _apply(core, reported, row).outcome is not Outcome.PARKED
    except Exception:
        _log.exception("fact_not_reexamined", fact=row.id)
        return False


def _telling(core: Core, row: AnyRow) -> ReportedFact | None:
    """The fact as it was told. None if its provider account is not configured any more."""
    account = core.registry.get(row.provider_account)
    return None if account is None else ReportedFact(account, fact_rows.fact_in(row), row.road, row.message_id)


def _has_cause_now(core: Core, reported: ReportedFact, row: AnyRow) -> bool:
    """Whether applying it may come to something else than last time: cheap, since most never do."""
    if row.reason == Mismatch.NOT_HANDLED:
        return row.kind in HANDLED
    if row.reason == Mismatch.REFUNDS_UNKNOWN:
        return core.at(row.slot).transact(partial(_is_sized, reported=reported, row=row))
    if core.at(row.slot).read(partial(_payment_is_here, reported=reported, row=row)):
        return True
    if row.reason == Mismatch.UNKNOWN_PRODUCT:
        return row.kind == Kind.PAID and core.at(row.slot).read(partial(_product_is_here, reported=reported))
    return place(core, reported).buyer is not None


def _is_sized(tx: Tx, reported: ReportedFact, row: AnyRow) -> bool:
    locked = payment_rows.lock_with_order(tx, row.slot, row.payment_id)
    return locked is not None and not unsized_payments.is_unsized(tx, reported.fact, locked)


def _product_is_here(tx: Tx, reported: ReportedFact) -> bool:
    return product_of_store(tx, reported.account.name, reported.fact.product or "") is not None


def _payment_is_here(tx: Tx, reported: ReportedFact, row: AnyRow) -> bool:
    number, ref = reported.payment_number, reported.fact.ref
    if number is not None:
        return payment_rows.payment_keys(tx, row.slot, number) is not None
    if ref.ours is not None or ref.theirs is None:
        return False
    return (
        payment_rows.payment_keys_by_theirs(tx, row.slot, row.provider_account, row.environment, ref.theirs) is not None
    )


def _apply(core: Core, reported: ReportedFact, row: AnyRow) -> Applied:
    """Where it lies; or, now that its buyer is known, where the buyer's data are. Two transactions then, each of one
    slot and safe to repeat: should this process die between them, the next look finds the first one done."""
    placed = place(core, reported)
    if placed.slot == row.slot and placed.account.name == row.provider_account:
        return core.at(row.slot).transact(partial(apply_stored, reported=placed, fact_id=row.id))
    applied = tell(core, reported)
    if applied.outcome is not Outcome.CONFLICT:
        core.at(row.slot).transact(partial(settle_without_a_buyer, row=row))
    return applied
