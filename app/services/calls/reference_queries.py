"""What a message names without proving it: written down before the sender is answered, asked by the worker until there
is an answer, and shown to a person where there is none.

A notification is never answered with an outgoing call in its path, and what it only names is never believed.

A message may tell only the provider's number of a payment. A purchase that somebody claimed is found by its claim. A
payment that was started here is found by the worker, with a sweep over an index that has no slot in it. A row for each
started payment that leads from that number to its slot would be found faster, and would cost the money path a second
transaction for each payment, for questions that come once in some thousand payments (docs/adr/0030).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import bindparam, delete, or_, select, update

from app.domain.facts import Ref
from app.domain.numbers import parse_number, slot_of_number, slot_of_reference, slot_of_user
from app.domain.retries import RETRIES, Retried, is_over
from app.domain.schedule import HINT_GAP_SECONDS
from app.models.asks import Ask
from app.models.base import AnyRow
from app.models.orders import Payment
from app.models.slot_guard import sweep
from app.providers.facts import Message
from app.providers.limits import fits
from app.providers.registry import ProviderAccount
from app.services.base.context import Core, Tx, environment_of
from app.services.base.errors import DatabaseUnavailable
from app.services.base.leases import LeaseQueue, next_try
from app.services.base.upsert import DeletedMeanwhile, insert_numbered_if_new
from app.services.calls import payment_queries
from app.services.calls.provider_call import call_provider
from app.services.facts import claims, inbox
from app.services.payments import payment_rows
from app.services.refunds import refund_asks
from app.services.refunds.refund_asks import WHOLE_PAYMENT

ASK_UNANSWERED, ASK_NOT_FOUND, REFUND_NOT_SIZED = "ask_unanswered", "ask_not_found", "refund_size_unknown"
"""Why a kept message is shown: the provider gave no answer; no payment of that name came to be known here. And why a
payment is listed by `tillbook refunds overdue`: its provider says that something went back, and not how much."""
ASKS_DUE = LeaseQueue(Ask.__table__, "next_try_at", "due_asks", counts="tries", stamps="asked_at")
_a, _p = Ask.__table__.c, Payment.__table__.c
# What a person ended by name stays: the provider's next word about it must not raise it again.
_IS_OLD = (
    _a.next_try_at.is_(None),
    _a.ended_by.is_(None),
    _a.raised_at < bindparam("before", type_=_a.raised_at.type),
    or_(_a.asked_at.is_(None), _a.asked_at < bindparam("before", type_=_a.raised_at.type)),
)
_OLD = select(_a.id).prefix_with(sweep("old_asks")).where(*_IS_OLD).order_by(_a.id)
_DELETE = delete(Ask).where(_a.slot == bindparam("at_slot"), _a.id == bindparam("at_id"), *_IS_OLD)
_log = structlog.get_logger(__name__)


# --- writing a question down ---


def raise_ask(core: Core, account: ProviderAccount, ref: Ref, message: Message | None = None) -> bool:
    """Write the question down, or bring an old one forward; False if it names nothing by which it could be asked.

    Never dropped for coming soon after another: put off until a minute has passed. Without `ref.refund` it is about the
    payment and all that became of it.
    """
    number = parse_number(ref.ours)
    if number is not None and core.of_number(number).transact(
        lambda tx: _raise_about_payment(tx, number, ref, message)
    ):
        return True
    theirs = ref.theirs
    if theirs is None or not fits(theirs):
        return False
    core.at(slot_of_reference(theirs)).transact(lambda tx: _raise_not_found(tx, account.name, theirs, ref, message))
    return True


def by_our_number(core: Core, account: ProviderAccount, ref: Ref) -> Ref:
    """Adds our number where a message names a purchase that somebody owns only by the store's number."""
    theirs = ref.theirs
    if ref.ours is not None or theirs is None or not fits(theirs):
        return ref
    number = _number_by_claim(core, account.name, theirs)
    return ref if number is None else replace(ref, ours=str(number))


def _raise_about_payment(tx: Tx, number: int, ref: Ref, message: Message | None) -> bool:
    payment = payment_rows.find_payment(tx, slot_of_number(number), number)
    if payment is None:
        return False
    _raise(tx, _row(tx, payment.slot, payment.provider_account, ref, payment_id=number), message)
    return True


def _raise_not_found(tx: Tx, account: str, theirs: str, ref: Ref, message: Message | None) -> None:
    _raise(tx, _row(tx, slot_of_reference(theirs), account, ref, theirs=theirs), message)


def _row(
    tx: Tx, slot: int, account: str, ref: Ref, *, payment_id: int | None = None, theirs: str = ""
) -> dict[str, Any]:
    return {
        "slot": slot,
        "provider_account": account,
        "payment_id": payment_id,
        "theirs": theirs,
        "refund": ref.refund or WHOLE_PAYMENT,
        "message_id": None,
        "raised_at": tx.now,
        "asked_at": None,
        "next_try_at": tx.now,
        "tries": 0,
        "end_reason": "",
    }


def _raise(tx: Tx, row: dict[str, Any], message: Message | None) -> None:
    """A question that was settled may be asked anew: a refund can change from accepted to failed."""
    number = insert_numbered_if_new(tx, Ask.__table__, tx.core.numbers, row["slot"], row)
    if number is not None:
        _keep_message(tx, row, number, message)
        return
    known = tx.execute(_known(row).with_for_update()).one_or_none()
    if known is None:
        raise DeletedMeanwhile
    _raise_again(tx, known)
    if known.next_try_at is None:
        _keep_message(tx, row, known.id, message)


def _known(row: dict[str, Any]) -> Any:
    wanted = select(*_a).where(_a.slot == row["slot"], _a.refund == row["refund"])
    if row["payment_id"] is not None:
        return wanted.where(_a.payment_id == row["payment_id"])
    by_name = (_a.provider_account == row["provider_account"], _a.theirs == row["theirs"])
    return wanted.where(_a.payment_id.is_(None), *by_name)


def _raise_again(tx: Tx, known: AnyRow) -> None:
    """Due now, or a minute after it was asked last. The worker that asks just now is too early for this message: with
    `tries` at zero it does not end the question (`_set_next`)."""
    gap = timedelta(seconds=HINT_GAP_SECONDS)
    moment = tx.now if known.asked_at is None else min(max(tx.now, known.asked_at + gap), tx.now + gap)
    again = update(Ask).where(_a.slot == known.slot, _a.id == known.id)
    tx.execute(again.values(raised_at=tx.now, next_try_at=moment, tries=0, ended_by=None, end_reason=""))


def _keep_message(tx: Tx, row: dict[str, Any], ask_id: int, message: Message | None) -> None:
    """Put the message aside, in the transaction of its question: it is shown if the question finds no answer."""
    if message is None:
        return
    detail = f"names payment {row['payment_id'] or row['theirs']} {row['refund']}".strip()
    account, payment = row["provider_account"], row["payment_id"]
    kept = inbox.keep_message(tx, row["slot"], account, message, "asks", detail, aside=True, payment=payment)
    tx.execute(update(Ask).where(_a.slot == row["slot"], _a.id == ask_id).values(message_id=kept))


# --- putting it ---


def work_on_ask(core: Core, ask_id: int) -> bool:
    """Go on with one question, as the worker; False if another worker has it."""
    row = core.of_number(ask_id).transact(lambda tx: ASKS_DUE.take(tx, ask_id, core.clock.now()))
    if row is None:
        return False
    if row.payment_id is None:
        _look_for_payment(core, row)
    else:
        _ask_provider(core, row)
    return True


def _ask_provider(core: Core, row: AnyRow) -> None:
    payment = core.at(row.slot).read(lambda tx: payment_rows.find_payment(tx, row.slot, row.payment_id))
    account = core.registry.get(payment.provider_account) if payment is not None else None
    if payment is None or account is None:
        _later(core, row, ASK_UNANSWERED)
        return
    ref = Ref(ours=str(payment.id), theirs=payment.theirs, refund=row.refund or None)
    called = call_provider(
        core,
        account,
        "query",
        lambda: account.provider.query(ref),
        seconds=payment_queries.ASK_SECONDS,
        subject=payment_queries.call_subject(payment),
    )
    payment_queries.apply_all(core, account, called.answer or (), "query", called)
    if not called.answer:
        _later(core, row, ASK_UNANSWERED)
    elif any(fact.refunds_unknown for fact in called.answer) and not _is_sized(core, row):
        _later(core, row, REFUND_NOT_SIZED)
    else:
        _set_next(core, row, None)


def _is_sized(core: Core, row: AnyRow) -> bool:
    """Whether a refund of the payment was told on any road; that is what ends a question about its refunds."""
    return core.at(row.slot).read(lambda tx: refund_asks.is_told(tx, row.slot, row.payment_id))


def _look_for_payment(core: Core, row: AnyRow) -> None:
    """The payment may be found now; else it may be known later, as a purchase that its buyer has still to hand in."""
    number = _number_by_claim(core, row.provider_account, row.theirs)
    if number is None:
        answer = core.what_answers(lambda tx: _number_by_sweep(tx, row.provider_account, row.theirs))
        number = answer.found
        if number is None and answer.missing:  # "not found" would be a guess: the question is put again
            raise DatabaseUnavailable(f"The payment may lie in {', '.join(answer.missing)}.")
    if number is None:
        _later(core, row, ASK_NOT_FOUND)
        return
    ref = Ref(ours=str(number), theirs=row.theirs, refund=row.refund or None)
    if ref.refund or not payment_queries.hint(core, ref, gap_seconds=0):
        core.of_number(number).transact(lambda tx: _take_over(tx, number, ref, row.message_id))
    _log.info("named_payment_found", provider_account=row.provider_account, payment=number, theirs=row.theirs)
    _set_next(core, row, None)


def _take_over(tx: Tx, number: int, ref: Ref, message_id: int | None) -> None:
    """Put the question in the payment's own slot, with the message that raised it."""
    if not _raise_about_payment(tx, number, ref, None) or message_id is None:
        return
    mine = (_a.slot == slot_of_number(number), _a.payment_id == number, _a.refund == (ref.refund or WHOLE_PAYMENT))
    tx.execute(update(Ask).where(*mine).values(message_id=message_id))


def _number_by_claim(core: Core, account: str, theirs: str) -> int | None:
    for environment in map(environment_of, (True, False)):
        owner = claims.owner_of(core, account, environment, theirs)
        if owner is None:
            continue
        find = partial(_keys_of_owner, account=account, owner=owner, environment=environment, theirs=theirs)
        keys = core.of_user(owner).read(find)
        if keys is not None:
            return int(keys.id)
    return None


def _keys_of_owner(tx: Tx, *, account: str, owner: str, environment: str, theirs: str) -> AnyRow | None:
    return payment_rows.payment_keys_by_theirs(tx, slot_of_user(owner), account, environment, theirs)


def _number_by_sweep(tx: Tx, account: str, theirs: str) -> int | None:
    wanted = (
        select(_p.slot, _p.id)
        .prefix_with(sweep("named_by_provider"))
        .where(_p.provider_account == account, _p.theirs == theirs)
        .order_by(_p.id)
        .limit(1)
    )
    found = tx.execute(wanted).one_or_none()
    return None if found is None else int(found.id)


def _later(core: Core, row: AnyRow, why: str) -> None:
    """Again when it is time; shown to a person when it has been asked long enough.

    What no message stands behind has nothing to show, so it is asked about until it ends."""
    moment = _next_moment(core, row, endless=why == REFUND_NOT_SIZED or row.message_id is None)
    if moment is not None:
        if row.tries == RETRIES[Retried.UNANSWERED_QUESTION].most:
            _log.warning(why, provider_account=row.provider_account, payment=row.payment_id)
        _set_next(core, row, moment)
        return
    _log.warning(why, provider_account=row.provider_account, payment=row.payment_id, theirs=row.theirs)
    if row.message_id is not None:
        core.of_number(row.message_id).transact(lambda tx: inbox.show_message(tx, row.message_id, why))
    _set_next(core, row, None)


def _next_moment(core: Core, row: AnyRow, *, endless: bool) -> datetime | None:
    why, number = Retried.UNANSWERED_QUESTION, row.tries
    if row.payment_id is None:
        why, number = Retried.PAYMENT_NOT_FOUND, row.tries - 1
    elif endless and is_over(why, pauses=number):
        why = Retried.ENDLESS_QUESTION
    return None if is_over(why, pauses=number) else next_try(core.clock.now(), why, number)


def _set_next(core: Core, row: AnyRow, moment: datetime | None) -> None:
    """Unless the question was raised again, or taken by another worker, meanwhile."""
    mine = (_a.slot == row.slot, _a.id == row.id, _a.tries == row.tries)
    core.at(row.slot).transact(lambda tx: tx.execute(update(Ask).where(*mine).values(next_try_at=moment)))


def delete_old_questions(core: Core, limit: int) -> int:
    """Delete questions that ended as long ago as the installation wants, at most `limit`; how many."""
    before = core.clock.now() - timedelta(days=core.rules.question_days)
    numbers = core.rows_everywhere(lambda tx: list(tx.scalars(_OLD.limit(limit), {"before": before})))[:limit]
    for number in numbers:
        where = {"at_slot": slot_of_number(number), "at_id": number, "before": before}
        core.of_number(number).transact(partial(Tx.execute, statement=_DELETE, values=where))
    if numbers:
        _log.info("old_questions_deleted", questions=len(numbers))
    return len(numbers)
