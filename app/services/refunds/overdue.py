"""What waits for too long: refunds that do not end, and payments of which something went back that nobody has told the
size of. A person may end a refund by name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import select, update

from app.domain.numbers import slot_of_number
from app.domain.refunding import OPEN_REFUND, RefundCause, RefundStatus
from app.models.asks import Ask
from app.models.base import AnyRow
from app.models.orders import FactRow, Payment
from app.models.refunds import Refund
from app.models.slot_guard import sweep
from app.services.base.context import Core, Tx, WhatAnswers
from app.services.base.sanitize import problem_text
from app.services.payments import interventions, payment_rows
from app.services.refunds import refund_asks, refund_rows, refund_status
from app.services.refunds.refund_asks import WHOLE_PAYMENT

OVERDUE_AFTER = timedelta(days=3)
"""A refund that is open for longer is alarmed once and listed. Banks take one to three days for a refund to a card."""
LONGEST_NAME = 150
"""Characters of the name of a person who ends a refund; more is cut."""
LONGEST_REASON = 240
"""Characters of that person's reason; more is cut."""
_SHOWN = ("slot", "id", "provider_account", "theirs", "status", "paid_at")
_r, _a, _p, _f = Refund.__table__.c, Ask.__table__.c, Payment.__table__.c, FactRow.__table__.c
_log = structlog.get_logger(__name__)


class NotEnded(Exception):
    """This refund cannot be ended by hand. The text says why."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """Open refunds, and payments whose refunds nobody has told yet, both oldest first."""

    refunds: list[AnyRow]
    payments: list[AnyRow]


def list_overdue_refunds(core: Core, limit: int) -> WhatAnswers[Overdue]:
    """What a person should look at."""
    since = core.clock.now() - OVERDUE_AFTER
    wanted = (
        select(*_r)
        .prefix_with(sweep("operator"))
        .where(_r.next_query_at.is_not(None), _r.created_at <= since)
        .order_by(_r.created_at, _r.id)
        .limit(limit)
    )
    return core.what_answers(lambda tx: Overdue(list(tx.execute(wanted)), _without_size(tx, limit)))


def _without_size(tx: Tx, limit: int) -> list[AnyRow]:
    """Payments of which money went back, as the provider says, that were asked about, and of which no refund was told:
    they are asked about until one is, perhaps by the next bill, or a person ends it."""
    went_back = (
        select(_f.id)
        .where(
            _f.slot == _a.slot,
            _f.payment_id == _a.payment_id,
            _f.kind == "paid",
            _f.content["refunds_unknown"].as_boolean().is_(True),
        )
        .exists()
    )
    wanted = (
        select(*(_p[name] for name in _SHOWN), _a.raised_at, _a.tries, _a.next_try_at)
        .prefix_with(sweep("operator"))
        .join(Ask, (_a.slot == _p.slot) & (_a.payment_id == _p.id))
        .where(
            _a.refund == WHOLE_PAYMENT,
            _a.asked_at.is_not(None),
            _a.ended_by.is_(None),
            went_back,
            ~refund_asks.told(_a.slot, _a.payment_id),
        )
        .order_by(_a.raised_at, _p.id)
        .limit(limit)
    )
    return list(tx.execute(wanted))


def end_by_hand(core: Core, refund_id: int, *, by: str, reason: str) -> None:
    """End an open refund, or stop asking about one that failed, because a person has found out that nothing goes back.
    Its reserved coins are free again. Should its provider say one day that money went back all the same, that counts.
    With the number of a payment: stop asking how much of it went back.

    Raises NotEnded.
    """
    name, why = by.strip()[:LONGEST_NAME], reason.strip()[:LONGEST_REASON]
    if not name or not why:
        raise NotEnded("say who you are, and why")
    slot = slot_of_number(refund_id)

    def work(tx: Tx) -> None:
        row = refund_rows.find_refund(tx, slot, refund_id)
        if row is None:
            if not refund_asks.end_ask(tx, refund_id, by=name, reason=problem_text(why)):
                raise NotEnded("there is no such refund, and no payment of which a refund is asked for")
            interventions.write_down(tx, slot, refund_id, "question_ended", actor=name, reason=why)
            return
        order = payment_rows.lock_order(tx, slot, row.order_id)
        payment = payment_rows.lock_payment(tx, slot, row.payment_id)
        row = refund_rows.find_refund(tx, slot, refund_id) or row
        ended = {"ended_by": name, "problem": problem_text(why), "recheck_at": None}
        if row.status in OPEN_REFUND:
            refund_status.move(tx, row, order, payment, RefundCause.ENDED, ended)
        elif row.status == RefundStatus.DECLINED and row.recheck_at is not None:
            refund_rows.change_refund(tx, row, ended)
        else:
            raise NotEnded(f"it is {row.status}: that is decided")
        payment_id = row.payment_id
        interventions.write_down(tx, slot, payment_id, "refund_ended", actor=name, reason=why, refund_id=refund_id)

    core.of_number(refund_id).transact(work)
    _log.warning("refund_ended_by_hand", number=refund_id, by=name, reason=why)


def alarm_once(tx: Tx, row: AnyRow) -> bool:
    """Whether the refund is open for too long and nobody was told so far; from now on somebody was."""
    if row.created_at > tx.now - OVERDUE_AFTER or row.alarmed_at is not None:
        return False
    told = (
        update(Refund)
        .where(_r.slot == row.slot, _r.id == row.id, _r.alarmed_at.is_(None), _r.status.in_(sorted(OPEN_REFUND)))
        .values(alarmed_at=tx.now)
    )
    return tx.connection().execute(told).rowcount == 1
