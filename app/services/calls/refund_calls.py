"""The provider's side of a refund of ours: asked for, queried and repeated under one number until it is settled.

Whatever the provider says goes through the one consumer of facts, like everything else it says; only how a call *ended*
is recorded here. Each step is recorded before the next, so dying anywhere only repeats a step.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import structlog

from app.domain.facts import Fact, Ref
from app.domain.money import Money
from app.domain.numbers import slot_of_number
from app.domain.refunding import OPEN_REFUND, RefundCause
from app.domain.schedule import JITTER
from app.models.base import AnyRow
from app.models.refunds import Refund
from app.providers.errors import Declined, Unknown
from app.providers.registry import ProviderAccount
from app.providers.verbs import Refunds
from app.services.base.context import Core, Tx
from app.services.base.leases import LeaseQueue
from app.services.base.reported_fact import ReportedFact, Road
from app.services.calls.provider_call import CallEnd, ProviderCall, call_provider
from app.services.facts.owner import tell
from app.services.payments import payment_rows
from app.services.refunds import refund_facts, refund_rows

CALL_SECONDS = 12.0
FIRST_GAP_SECONDS = 10
"""Providers want some seconds before they are asked about a refund (10 in one's documentation, 2026-09)."""
GAP_CAP_SECONDS = 3600
DUE = LeaseQueue(Refund.__table__, "next_query_at", "due_payments", counts="queries", stamps="last_query_at")
ONE_BY_ONE_SECONDS = 3
"""Between two refunds of one payment: providers refuse, or mix up, those that come at once."""
_log = structlog.get_logger(__name__)


def work_on_due(core: Core, refund_id: int) -> bool:
    """Take a refund one step further, if it is due; False if it is not, or somebody else has it."""
    row = _take(core, refund_id)
    if row is None:
        return False
    account = core.registry.get(row.provider_account)
    if account is None or not isinstance(account.provider, Refunds):
        _log.error("refund_without_provider_account", refund=refund_id, provider_account=row.provider_account)
        return True
    refunder = account.provider
    called = call_provider(
        core, account, "refund", lambda: _step(account, refunder, row), seconds=CALL_SECONDS, refund=row.id
    )
    if called.answer is None:
        _record_failure(core, row, called)
        return True
    facts, road = called.answer
    for fact in facts:
        tell(core, ReportedFact(account, fact, road))
    _postpone(core, row, "")
    return True


def _take(core: Core, refund_id: int) -> AnyRow | None:
    """Lease it, unless another refund of its payment was called for just now."""
    slot, now = slot_of_number(refund_id), core.clock.now()

    def work(tx: Tx) -> AnyRow | None:
        row = refund_rows.refund(tx, slot, refund_id)
        if row is None or row.next_query_at is None or row.next_query_at > now:
            return None
        payment_rows.lock_order(tx, slot, row.order_id)
        busy_until = _busy_until(tx, row)
        if busy_until is not None and busy_until > now:
            refund_rows.postpone(tx, slot, refund_id, moment=busy_until, problem=row.problem)
            return None
        return DUE.take(tx, refund_id, now)

    return core.transact(work)


def _busy_until(tx: Tx, row: AnyRow) -> datetime | None:
    others = [
        other.last_query_at + timedelta(seconds=ONE_BY_ONE_SECONDS)
        for other in refund_rows.of_payment(tx, row.slot, row.payment_id)
        if other.id != row.id and other.last_query_at is not None
    ]
    return max(others, default=None)


def _step(account: ProviderAccount, refunder: Refunds, row: AnyRow) -> tuple[tuple[Fact, ...], Road]:
    """Ask about one that may have been sent before; send it, with the same number and amount, if the provider does not
    know it."""
    ref = Ref(ours=str(row.payment_id), theirs=row.theirs, refund=str(row.id))
    if row.queries > 1:
        facts = _asked(account, ref)
        if facts:
            return facts, "query"
    return refunder.refund(ref, Money(row.amount_minor, row.currency), row.reason), "reply"


def _asked(account: ProviderAccount, ref: Ref) -> tuple[Fact, ...]:
    """A «no» to a question is no «no» to the refund."""
    try:
        return account.provider.query(ref)
    except Declined as error:
        raise Unknown(f"the question was refused: {error}", code=error.code) from error


def _record_failure(core: Core, row: AnyRow, called: ProviderCall[tuple[tuple[Fact, ...], Road]]) -> None:
    """A definite no ends it and gives the coins back; a call that surely did not happen leaves it as it was; all else
    makes it unknown."""
    if called.end is CallEnd.DECLINED:
        _move(core, row, RefundCause.DECLINED, called.problem)
        return
    if called.end is CallEnd.UNKNOWN:
        _move(core, row, RefundCause.UNANSWERED, called.problem)
    _postpone(core, row, called.problem, not_before=called.not_before)


def _move(core: Core, row: AnyRow, cause: RefundCause, problem: str) -> None:
    def work(tx: Tx) -> None:
        order = payment_rows.lock_order(tx, row.slot, row.order_id)
        payment = payment_rows.lock_payment(tx, row.slot, row.payment_id)
        now = refund_rows.refund(tx, row.slot, row.id)
        if now is not None and now.status in OPEN_REFUND:
            refund_facts.move(tx, now, order, payment, cause, problem=problem)

    core.transact(work)


def _postpone(core: Core, row: AnyRow, problem: str, *, not_before: datetime | None = None) -> None:
    """When to go on, unless it is settled by now."""
    moment = core.clock.now() + timedelta(seconds=_gap(row.queries - 1))
    if not_before is not None:
        moment = max(moment, not_before)
    core.transact(
        lambda tx: refund_rows.postpone(tx, row.slot, row.id, moment=moment, problem=problem),
    )


def _gap(tried: int) -> float:
    """10, 20, 40 … seconds, up to an hour, spread by ±20 % but never below the first."""
    base = min(GAP_CAP_SECONDS, FIRST_GAP_SECONDS * (1 << min(tried, 20)))
    spread = 1 - JITTER + 2 * JITTER * random.random()  # noqa: S311 - spreads calls, keeps no secret
    return max(FIRST_GAP_SECONDS, base * spread)
