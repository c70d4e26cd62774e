"""Refunds that a message names without proving them: written down before the sender is answered, asked by the worker.

A notification is never answered with an outgoing call in its path, and what it only names is never believed.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain.numbers import parse_number, slot_of_number
from app.domain.schedule import HINT_GAP_SECONDS, LEASE_SECONDS, backoff_seconds
from app.models.asks import Ask
from app.models.base import AnyRow
from app.models.slot_guard import sweep
from app.providers.facts import Ref
from app.providers.http import deadline
from app.services import asking, payment_rows
from app.services.core import Core
from app.services.inserting import insert_once
from app.services.transaction import read, transact

MOST_TRIES = 24
RETRY_CAP_SECONDS = 3600
LONGEST_REFUND = 128
_a = Ask.__table__.c
_log = structlog.get_logger(__name__)


def raise_ask(core: Core, ref: Ref) -> bool:
    """Write the question down, or bring it forward if it is an old one, at most once a minute. False if the message
    names no payment of ours."""
    number = parse_number(ref.ours)
    if number is None or ref.refund is None or len(ref.refund) > LONGEST_REFUND:
        return False
    slot, refund, now = slot_of_number(number), ref.refund, core.clock.now()

    def work(session: Session) -> bool:
        if payment_rows.payment_keys(session, slot, number) is None:
            return False
        row = {
            "slot": slot,
            "id": core.numbers.next(slot),
            "payment_id": number,
            "refund": refund,
            "raised_at": now,
            "next_try_at": now,
            "tries": 0,
        }
        return insert_once(session, Ask.__table__, row) or _again(session, slot, number, refund, now)

    return transact(core.sessions, work)


def _again(session: Session, slot: int, payment_id: int, refund: str, now: datetime) -> bool:
    """A question that was settled may be asked anew: a refund can change from accepted to failed."""
    again = (
        update(Ask)
        .where(
            _a.slot == slot,
            _a.payment_id == payment_id,
            _a.refund == refund,
            _a.raised_at <= now - timedelta(seconds=HINT_GAP_SECONDS),
        )
        .values(raised_at=now, next_try_at=now, tries=0)
    )
    return session.connection().execute(again).rowcount == 1


def due_asks(session: Session, now: datetime, limit: int) -> list[int]:
    wanted = (
        select(_a.id)
        .prefix_with(sweep("due_asks"))
        .where(_a.next_try_at.is_not(None), _a.next_try_at <= now)
        .order_by(_a.next_try_at)
        .limit(limit)
    )
    return list(session.scalars(wanted))


def work_on_due(core: Core, ask_id: int) -> bool:
    """Put one question to its provider, as the worker; False if another worker has it."""
    row = _take(core, ask_id)
    if row is None:
        return False
    payment = read(core.sessions, lambda session: payment_rows.payment(session, row.slot, row.payment_id))
    account = core.registry.get(payment.provider_account) if payment is not None else None
    if payment is None or account is None:
        _set_next(core, row, None)
        return True
    ref = Ref(ours=str(payment.id), theirs=payment.theirs, refund=row.refund)
    try:
        with deadline(asking.ASK_SECONDS):
            facts = account.provider.query(ref)
    except Exception as error:
        asking.report_call("query", payment, error)
        _set_next(core, row, _later(core, row))
        return True
    asking.apply_all(core, account, facts, "query")
    _set_next(core, row, None if facts else _later(core, row))
    return True


def _take(core: Core, ask_id: int) -> AnyRow | None:
    slot, now = slot_of_number(ask_id), core.clock.now()
    lease = (
        update(Ask)
        .where(_a.slot == slot, _a.id == ask_id, _a.next_try_at <= now)
        .values(next_try_at=now + timedelta(seconds=LEASE_SECONDS), tries=_a.tries + 1)
        .returning(*_a)
    )
    return transact(core.sessions, lambda session: session.execute(lease).one_or_none())


def _later(core: Core, row: AnyRow) -> datetime | None:
    """None when the provider has been asked long enough and knows of no such refund."""
    if row.tries >= MOST_TRIES:
        _log.warning("ask_given_up", payment=row.payment_id, refund=row.refund)
        return None
    pause = backoff_seconds(row.tries, random.random(), RETRY_CAP_SECONDS)  # noqa: S311 - keeps no secret
    return core.clock.now() + timedelta(seconds=pause)


def _set_next(core: Core, row: AnyRow, moment: datetime | None) -> None:
    change = update(Ask).where(_a.slot == row.slot, _a.id == row.id).values(next_try_at=moment)
    transact(core.sessions, lambda session: session.execute(change))
