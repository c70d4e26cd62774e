"""The provider's side of refunds. One of ours is asked for, queried and repeated under one number until it is settled;
one that is not ours is asked about until it has ended; one that its provider called failed is asked about for a month
more, since it may still succeed.

Whatever the provider says goes through the one consumer of facts, like everything else it says; only how a call *ended*
is recorded here. Each step is recorded before the next, so dying anywhere only repeats a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from app.domain.facts import Fact, Ref
from app.domain.money import Money
from app.domain.numbers import slot_of_number
from app.domain.refunding import OPEN_REFUND, Origin, RefundCause
from app.domain.retries import Retried, is_over
from app.models.base import AnyRow
from app.models.refunds import Refund
from app.providers.errors import Declined, Unknown
from app.providers.registry import ProviderAccount
from app.providers.verbs import Refunds
from app.services.base.context import Core, Tx
from app.services.base.idempotency import Keyed
from app.services.base.leases import LeaseQueue, next_try
from app.services.base.reported_fact import Road
from app.services.calls import call_log
from app.services.calls.payment_queries import apply_all
from app.services.calls.provider_call import CallEnd, CallSubject, ProviderCall, call_provider
from app.services.facts.record import Applied
from app.services.payments import payment_rows
from app.services.refunds import overdue, refund_asks, refund_rows, refund_status, requests
from app.services.refunds.captured_payments import captured_payment, number_of, refunds_of

CALL_SECONDS = 12.0
REFUNDS_DUE = LeaseQueue(Refund.__table__, "next_query_at", "due_payments", counts="queries", stamps="last_query_at")
"""Refunds that are open: ours, and those of others that are in progress."""
RECHECKS_DUE = LeaseQueue(Refund.__table__, "recheck_at", "due_payments", counts="rechecks", stamps="last_query_at")
"""Refunds that their provider called failed."""
NO_LONGER_FITS = "less than this is left of the payment"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Errand:
    """A refund that this worker has taken, and what may be done about it."""

    row: AnyRow
    fits: bool
    """Whether as much is left of the payment, by what was told of other refunds."""

    @property
    def ref(self) -> Ref:
        return Ref(ours=str(self.row.payment_id), theirs=self.row.theirs, refund=number_of(self.row))


@dataclass(frozen=True, slots=True)
class _Left:
    """A refund as a call left it."""

    row: AnyRow
    is_overdue: bool
    """Whether it is open for too long, and nobody was told before."""


def work_on_refund(core: Core, refund_id: int) -> bool:
    """Take an open refund one step further, if it is due; False if it is not, or somebody else has it."""
    errand = _take(core, refund_id)
    if errand is None:
        return False
    _go(core, errand)
    return True


def request_refund(core: Core, wanted: requests.Wanted, key: Keyed) -> Any:
    """Ask for a refund for the app's backend: written down and taken in one transaction, then sent; how far it has
    come, with its user. What goes wrong after it was written down is the worker's to repeat. Raises like
    `requests.write_request`."""
    written = requests.write_request(core, wanted, key, lease=True)
    if written.leased is None:
        return refund_for_reader(core, written.number)
    try:
        row = _go(core, _Errand(written.leased, fits=True))
    except Exception:
        _log.exception("refund_not_continued", refund=written.number)
        return requests.view_refund(core, written.number)
    return refund_rows.owned(row, written.user_id)


def refund_for_reader(core: Core, refund_id: int) -> AnyRow:
    """A refund for whoever looks at it. One that is not settled is taken a step further first, if that is due. Raises
    NotFound."""
    row = requests.view_refund(core, refund_id)
    if row.next_query_at is None or row.next_query_at > core.clock.now():
        return row
    try:
        work_on_refund(core, refund_id)
    except Exception:
        _log.exception("refund_not_continued", refund=refund_id)
    return requests.view_refund(core, refund_id)


def _go(core: Core, errand: _Errand) -> AnyRow:
    """Make the call for a refund that was taken, and write down what came of it; the refund after that."""
    row = errand.row
    account = core.registry.get(row.provider_account)
    if account is None or (row.origin != Origin.PROVIDER and not isinstance(account.provider, Refunds)):
        _log.error("refund_without_provider_account", refund=row.id, provider_account=row.provider_account)
        return row
    subject = CallSubject(row.slot, payment=row.payment_id, refund=row.id)
    called = call_provider(
        core, account, "refund", lambda: _step(account, errand), seconds=CALL_SECONDS, subject=subject
    )
    if called.answer is None:
        return _record_failure(core, row, called)
    facts, road = called.answer
    if not facts:
        return _postpone(core, row, "", called=called)
    found, moment = list[_Left](), next_try(core.clock.now(), Retried.OPEN_REFUND, row.queries - 1)

    def finish(tx: Tx, applied: Applied | None = None) -> None:
        left = () if applied is None else applied.refunds
        now = next((each for each in left if each.id == row.id), None) or _as_stored(tx, row)
        found.append(_left_open(tx, now, "", moment))

    apply_all(core, account, facts, road, called, finish)
    if not found:
        core.at(row.slot).transact(finish)
    return _alarmed("", found[-1])


def recheck(core: Core, refund_id: int) -> bool:
    """Ask once more about a refund that its provider called failed; False if that is not due, or somebody else does."""
    now = core.clock.now()
    row = core.of_number(refund_id).transact(lambda tx: RECHECKS_DUE.take(tx, refund_id, now))
    if row is None:
        return False
    account = core.registry.get(row.provider_account)
    if account is not None:
        ref = _Errand(row, fits=False).ref
        query = account.provider.query
        subject = CallSubject(row.slot, payment=row.payment_id, refund=row.id)
        called = call_provider(core, account, "query", lambda: query(ref), seconds=CALL_SECONDS, subject=subject)
        apply_all(core, account, called.answer or (), "query", called)
    ended = is_over(Retried.FAILED_REFUND, pauses=row.rechecks)
    again = None if ended else next_try(now, Retried.FAILED_REFUND, row.rechecks)
    core.at(row.slot).transact(lambda tx: refund_rows.set_recheck(tx, row.slot, row.id, again))
    return True


def _take(core: Core, refund_id: int) -> _Errand | None:
    """Lease it, unless another refund of its payment was called for just now, or it has to wait for other news."""
    slot, now = slot_of_number(refund_id), core.clock.now()

    def work(tx: Tx) -> _Errand | None:
        row = refund_rows.find_refund(tx, slot, refund_id)
        if row is None or row.next_query_at is None or row.next_query_at > now:
            return None
        order = payment_rows.lock_order(tx, slot, row.order_id)
        siblings = refund_rows.of_payment(tx, slot, row.payment_id)()
        busy_until = requests.busy_with(other for other in siblings if other.id != refund_id)
        if busy_until is not None and busy_until > now:
            refund_rows.postponed(tx, slot, refund_id, moment=busy_until, problem=row.problem)
            return None
        taken = REFUNDS_DUE.take(tx, refund_id, now)
        if taken is None or taken.origin == Origin.PROVIDER:
            return None if taken is None else _Errand(taken, fits=False)
        room = requests.room_for(tx, taken, order, payment_rows.lock_payment(tx, slot, taken.payment_id))
        if taken.origin == Origin.AUTOMATIC and taken.queries == 1:
            return _first_of_automatic(tx, taken, room)
        return _Errand(taken, fits=taken.amount_minor <= room.there_minor)

    return core.of_number(refund_id).transact(work)


def _first_of_automatic(tx: Tx, row: AnyRow, room: requests.Room) -> _Errand | None:
    """Money that nobody asked to have back is sent as far as it is still here, and only when it is known how much that
    is. Nobody has heard of this refund yet, so its amount may still change."""
    if room.may_change:
        moment = next_try(tx.now, Retried.OPEN_REFUND, 0)
        refund_rows.change_refund(tx, row, {"next_query_at": moment, "queries": 0, "last_query_at": None})
        return None
    if 0 < room.left_minor < row.amount_minor:
        refund_rows.change_refund(tx, row, {"amount_minor": room.left_minor})
        row = refund_rows.find_refund(tx, row.slot, row.id) or row
    return _Errand(row, fits=row.amount_minor <= room.left_minor)


def _step(account: ProviderAccount, errand: _Errand) -> tuple[tuple[Fact, ...], Road]:
    """Ask about one that may have been sent before, or is not ours; send ours, with the same number and amount, if the
    provider does not know it. One that no longer fits, and that the provider does not know, is a definite no."""
    row, refunder = errand.row, account.provider
    is_ours = row.origin != Origin.PROVIDER
    if row.queries > 1 or not is_ours:
        facts = _asked(account, errand.ref)
        if facts or not is_ours:
            return facts, "query"
    if not errand.fits:
        raise Declined(NO_LONGER_FITS)
    if not isinstance(refunder, Refunds):
        raise TypeError("the provider cannot refund")
    return refunder.refund(errand.ref, Money(row.amount_minor, row.currency), row.reason), "reply"


def _asked(account: ProviderAccount, ref: Ref) -> tuple[Fact, ...]:
    """A «no» to a question is no «no» to the refund."""
    try:
        return account.provider.query(ref)
    except Declined as error:
        raise Unknown(f"the question was refused: {error}", code=error.code) from error


def _record_failure(core: Core, row: AnyRow, called: ProviderCall[tuple[tuple[Fact, ...], Road]]) -> AnyRow:
    """A definite no ends one of ours and gives the coins back; a call that surely did not happen leaves it as it was;
    all else makes it unknown."""
    if called.end is CallEnd.DECLINED:

        def decline(tx: Tx) -> AnyRow:
            _move(tx, row, RefundCause.DECLINED, called.problem)
            call_log.keep_call(tx, called)
            return _as_stored(tx, row)

        return core.at(row.slot).transact(decline)
    cause = RefundCause.UNANSWERED if called.end is CallEnd.UNKNOWN else None
    return _postpone(core, row, called.problem, cause=cause, called=called)


def _move(tx: Tx, row: AnyRow, cause: RefundCause, problem: str) -> None:
    order = payment_rows.lock_order(tx, row.slot, row.order_id)
    payment = payment_rows.lock_payment(tx, row.slot, row.payment_id)
    now = refund_rows.find_refund(tx, row.slot, row.id)
    if now is not None and now.status in OPEN_REFUND and now.origin != Origin.PROVIDER:
        moved = refund_status.move(tx, now, order, payment, cause, {"problem": problem})
        if moved and now.origin == Origin.AUTOMATIC and cause is RefundCause.DECLINED:
            refund_asks.ask_for_refunds(tx, row.slot, payment.id)
            captured = captured_payment(tx, order, payment, row.theirs)
            if captured is not None:
                requests.automatic_rest(tx, captured, refunds_of(tx, captured))


def _postpone(
    core: Core, row: AnyRow, problem: str, *, called: ProviderCall[Any], cause: RefundCause | None = None
) -> AnyRow:
    """The refund after a call that brought no fact, with when to go on, unless it is settled by now. `cause` moves it
    first."""
    moment = next_try(core.clock.now(), Retried.OPEN_REFUND, row.queries - 1)
    if called.not_before is not None:
        moment = max(moment, called.not_before)

    def work(tx: Tx) -> _Left:
        call_log.keep_call(tx, called)
        if cause is not None:
            _move(tx, row, cause, problem)
        return _left_open(tx, _as_stored(tx, row), problem, moment)

    return _alarmed(problem, core.at(row.slot).transact(work))


def _as_stored(tx: Tx, row: AnyRow) -> AnyRow:
    """The refund as it is now."""
    now: AnyRow | None = refund_rows.find_refund(tx, row.slot, row.id)
    return now or row


def _left_open(tx: Tx, now: AnyRow, problem: str, moment: datetime) -> _Left:
    """Set when to go on, unless the refund is settled by now. One that is open for too long is shown as such, once."""
    if now.status not in OPEN_REFUND:
        return _Left(now, is_overdue=False)
    now = refund_rows.postponed(tx, now.slot, now.id, moment=moment, problem=problem) or now
    return _Left(now, overdue.alarm_once(tx, now))


def _alarmed(problem: str, left: _Left) -> AnyRow:
    """The refund; with an alarm, if one is due."""
    row = left.row
    if left.is_overdue:
        _log.error(
            "refund_overdue",
            refund=row.id,
            payment=row.payment_id,
            provider_account=row.provider_account,
            origin=row.origin,
            problem=problem,
        )
    return row
