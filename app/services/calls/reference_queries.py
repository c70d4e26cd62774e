"""Refunds, and paid payments, that a message names without proving what became of them: written down before the sender
is answered, asked by the worker.

A notification is never answered with an outgoing call in its path, and what it only names is never believed.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import update

from app.domain.facts import Ref
from app.domain.numbers import parse_number, slot_of_number, slot_of_user
from app.domain.schedule import HINT_GAP_SECONDS, backoff_seconds
from app.models.asks import Ask
from app.models.base import AnyRow
from app.providers.limits import fits
from app.providers.registry import ProviderAccount
from app.services.base.context import Core, Tx, environment_of
from app.services.base.leases import LeaseQueue
from app.services.base.upsert import insert_if_new
from app.services.calls import payment_queries
from app.services.calls.provider_call import call_provider
from app.services.facts import claims
from app.services.payments import payment_rows

MOST_TRIES = 24
RETRY_CAP_SECONDS = 3600
WHOLE_PAYMENT = ""
"""Stands in `asks.refund` for a question about the payment and all its refunds."""
DUE = LeaseQueue(Ask.__table__, "next_try_at", "due_asks", counts="tries")
_a = Ask.__table__.c
_log = structlog.get_logger(__name__)


def raise_ask(core: Core, ref: Ref) -> bool:
    """Write the question down, or bring it forward if it is an old one, at most once a minute. False if the message
    names no payment of ours. Without `ref.refund` it is about the payment and all that became of it."""
    number = parse_number(ref.ours)
    if number is None:
        return False
    slot, refund, now = slot_of_number(number), ref.refund or WHOLE_PAYMENT, core.clock.now()

    def work(tx: Tx) -> bool:
        if payment_rows.payment_keys(tx, slot, number) is None:
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
        return insert_if_new(tx, Ask.__table__, row) or _again(tx, slot, number, refund, now)

    return core.transact(work)


def by_our_number(core: Core, account: ProviderAccount, ref: Ref) -> Ref:
    """The same name, with our number where the message tells only a store's number of a purchase that somebody owns."""
    theirs = ref.theirs
    if ref.ours is not None or theirs is None or not fits(theirs):
        return ref
    for environment in map(environment_of, (True, False)):
        owner = claims.owner_of(core, account.name, environment, theirs)
        if owner is not None:
            find = partial(_find_by_theirs, account=account.name, owner=owner, environment=environment, theirs=theirs)
            keys = core.read(find)
            return ref if keys is None else replace(ref, ours=str(keys.id))
    return ref


def _find_by_theirs(tx: Tx, *, account: str, owner: str, environment: str, theirs: str) -> AnyRow | None:
    return payment_rows.payment_keys_by_theirs(tx, slot_of_user(owner), account, environment, theirs)


def _again(tx: Tx, slot: int, payment_id: int, refund: str, now: datetime) -> bool:
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
    return tx.connection().execute(again).rowcount == 1


def work_on_due(core: Core, ask_id: int) -> bool:
    """Put one question to its provider, as the worker; False if another worker has it."""
    row = core.transact(lambda tx: DUE.take(tx, ask_id, core.clock.now()))
    if row is None:
        return False
    payment = core.read(lambda tx: payment_rows.payment(tx, row.slot, row.payment_id))
    account = core.registry.get(payment.provider_account) if payment is not None else None
    if payment is None or account is None:
        _set_next(core, row, None)
        return True
    ref = Ref(ours=str(payment.id), theirs=payment.theirs, refund=row.refund or None)
    called = call_provider(
        core,
        account,
        "query",
        lambda: account.provider.query(ref),
        seconds=payment_queries.ASK_SECONDS,
        payment=payment.id,
    )
    payment_queries.apply_all(core, account, called.answer or (), "query")
    _set_next(core, row, None if called.answer else _later(core, row))
    return True


def _later(core: Core, row: AnyRow) -> datetime | None:
    """None when the provider has been asked long enough and knows of no such refund."""
    if row.tries >= MOST_TRIES:
        _log.warning("ask_given_up", payment=row.payment_id, refund=row.refund)
        return None
    pause = backoff_seconds(row.tries, random.random(), RETRY_CAP_SECONDS)  # noqa: S311 - keeps no secret
    return core.clock.now() + timedelta(seconds=pause)


def _set_next(core: Core, row: AnyRow, moment: datetime | None) -> None:
    change = update(Ask).where(_a.slot == row.slot, _a.id == row.id).values(next_try_at=moment)
    core.transact(lambda tx: tx.execute(change))
