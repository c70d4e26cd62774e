"""A client hands in proof of a purchase that it has already paid for.

The proof is verified without any call, kept, and then worked through: what it proves is credited, what it only names
is asked about. A provider that does not answer leaves it pending; the worker goes on. Handing in the same proof again
gives the same answer and credits nothing.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import func, select, update

from app.domain.numbers import slot_of_number, slot_of_user
from app.domain.retries import Retried, is_over
from app.domain.schedule import LEASE_SECONDS
from app.models.base import AnyRow
from app.models.receipts import Receipt
from app.providers.errors import Forged
from app.providers.facts import Message, Received
from app.providers.http import deadline
from app.providers.registry import ProviderAccount
from app.services.accounts.users import lock_user
from app.services.base.context import Core, Tx, as_of
from app.services.base.errors import DomainError, UnknownProviderAccount
from app.services.base.leases import LeaseQueue, next_try
from app.services.base.upsert import NumberTaken, insert_numbered_if_new
from app.services.intake.purchases import MOST_CALLS, PURCHASE_SECONDS, Purchase, Turn

MOST_DENIALS = 5
"""So often a provider may say that it knows nothing by a number that came without a proof; then it ends as unknown.
With the pauses of `app.domain.retries` that takes some three minutes."""
MOST_UNSETTLED = 20
"""Receipts of one user that wait for a provider."""
MOST_UNPROVEN = 40
"""Numbers of one user that wait for a provider and came without a proof."""
TOO_MANY_RETRY_SECONDS = 60
RECEIPTS_DUE = LeaseQueue(Receipt.__table__, "next_try_at", "due_receipts")
_r = Receipt.__table__.c
_log = structlog.get_logger(__name__)


class ReceiptRefused(DomainError):
    code = "receipt_refused"


class ReceiptTooLarge(DomainError):
    code = "receipt_too_large"


class TooManyTransactions(DomainError):
    code = "too_many_transactions"


class TooManyReceipts(DomainError):
    """The member `retry_after` says in how many seconds there may be room."""

    code = "too_many_receipts"
    remembered = False


SHOWN = {problem.code: problem for problem in (ReceiptTooLarge, TooManyTransactions)}
"""What a client is told of a refusal, by `Forged.code`: limits that an honest client can meet. Of every other refusal
it is told nothing, since that would help only a forger."""


@dataclass(frozen=True, slots=True)
class Submitted:
    receipt: str
    status: str
    purchases: list[Purchase]


def submit(core: Core, account_name: str, user_id: str, body: bytes) -> Submitted:
    """Take in a proof of purchase. Raises ReceiptRefused, without saying why, for one that proves nothing; a Problem of
    its own for one that is over a limit."""
    account = core.registry.get(account_name)
    if account is None:
        raise UnknownProviderAccount(provider_account=account_name)
    received = _verified(account, body, user_id)
    receipt_id = _keep(core, account_name, user_id, body, received)
    return work_through(core, account, receipt_id, user_id, received, body)


def _verified(account: ProviderAccount, body: bytes, user_id: str) -> Received:
    try:
        return account.provider.receive(Message("receipt", body, {"content-type": "application/json"}))
    except Forged as error:
        _log.warning("receipt_refused", provider_account=account.name, user=user_id, why=error.code or str(error))
        raise SHOWN.get(error.code, ReceiptRefused) from None


def _keep(core: Core, account_name: str, user_id: str, body: bytes, received: Received) -> int:
    """Store the proof before anything else, due again soon should this process die; its number, new or known. Raises
    TooManyReceipts where a new one is over the user's limit."""
    now, slot = core.clock.now(), slot_of_user(user_id)
    digest = hashlib.sha256(received.proof.encode() if received.proof else body).hexdigest()
    row: dict[str, Any] = {
        "slot": slot,
        "user_id": user_id,
        "provider_account": account_name,
        "digest": digest,
        "body": body,
        "status": "pending",
        "purchases": [],
        "submitted_at": now,
        "next_try_at": now + timedelta(seconds=LEASE_SECONDS),
        "tries": 0,
        "denials": 0,
        "unproven": 0 if received.bearer_proof else len(received.asks),
    }

    def work(tx: Tx) -> int:
        known = _known(tx, row)
        if known is not None:
            return known
        lock_user(tx, user_id)
        if _is_over_a_limit(tx, row["slot"], user_id, row["unproven"]):
            raise TooManyReceipts(retry_after=TOO_MANY_RETRY_SECONDS)
        number = insert_numbered_if_new(tx, Receipt.__table__, core.numbers, slot, row)
        if number is not None:
            return number
        known = _known(tx, row)
        if known is None:
            raise NumberTaken
        return known

    return core.at(slot).transact(work)


def _known(tx: Tx, row: dict[str, Any]) -> int | None:
    same = [_r[name] == row[name] for name in ("slot", "user_id", "provider_account", "digest")]
    return tx.execute(select(_r.id).where(*same)).scalar_one_or_none()


def _is_over_a_limit(tx: Tx, slot: int, user_id: str, unproven: int) -> bool:
    """The caller has locked the user, so that requests at the same time are counted one by one."""
    unsettled = select(func.count(), func.coalesce(func.sum(_r.unproven), 0)).where(
        _r.slot == slot, _r.user_id == user_id, _r.next_try_at.is_not(None)
    )
    counted = tx.execute(unsettled).one()
    receipts, numbers = (int(value) for value in counted)
    return receipts >= MOST_UNSETTLED or (unproven > 0 and numbers + unproven > MOST_UNPROVEN)


# --- working it through ---


def work_through(
    core: Core, account: ProviderAccount, receipt_id: int, user_id: str, received: Received, body: bytes
) -> Submitted:
    """Credit what is proved, ask about what is named, and record what each purchase became."""
    row = core.of_number(receipt_id).read(lambda tx: _row(tx, receipt_id))
    turn = Turn(core, account, user_id, user_id if received.bearer_proof else None, row)
    turn.take_in(received.facts, "receipt")
    with deadline(PURCHASE_SECONDS):
        turn.ask(received.asks)
    return _record(core, receipt_id, turn, body, proved=received.bearer_proof)


def _row(tx: Tx, receipt_id: int) -> AnyRow:
    return tx.execute(select(*_r).where(_r.slot == slot_of_number(receipt_id), _r.id == receipt_id)).one()


def _record(core: Core, receipt_id: int, turn: Turn, body: bytes, *, proved: bool) -> Submitted:
    slot = slot_of_number(receipt_id)

    def work(tx: Tx) -> str:
        row = tx.execute(select(*_r).where(_r.slot == slot, _r.id == receipt_id).with_for_update()).one()
        if _is_over(tx, row, turn, proved=proved):
            turn.give_up()
            changes = dict(_ENDED)
        elif turn.waiting and is_over(Retried.RECEIPT, passed=tx.now - _started_at(row, tx.now)):
            turn.give_up()
            changes = {**_ENDED, "status": "given_up"}
        else:
            changes = _waits(row, turn, tx.now, body, proved=proved)
        change = update(Receipt).where(_r.slot == slot, _r.id == receipt_id)
        tx.execute(change.values(tries=row.tries + 1, purchases=turn.to_record(), **changes))
        turn.keep_calls(tx)
        return str(changes["status"])

    status = core.of_number(receipt_id).transact(work)
    return Submitted(str(receipt_id), status, list(turn.purchases.values()))


_ENDED: dict[str, Any] = {"status": "settled", "next_try_at": None, "body": b"", "unproven": 0, "denials": 0}
"""A receipt that needs no further question needs no body."""


def _is_over(tx: Tx, row: AnyRow, turn: Turn, *, proved: bool) -> bool:
    """Whether nothing waits, or the provider has said often enough that it knows nothing by numbers without a proof.

    Numbers without a proof that had ended before, and are handed in again, are asked about once."""
    if not turn.waiting or proved:
        return not turn.waiting
    if row.status != "pending":
        if turn.denied:
            return True
        lock_user(tx, row.user_id)
        return _is_over_a_limit(tx, row.slot, row.user_id, len(turn.waiting))
    return _denials(row, turn) >= MOST_DENIALS * _turns_needed(turn)


def _turns_needed(turn: Turn) -> int:
    """To ask once about everything that waits."""
    return math.ceil(len(turn.waiting) / MOST_CALLS)


def _denials(row: AnyRow, turn: Turn) -> int:
    return int(row.denials) + int(turn.denied and not turn.never_asked)


def _started_at(row: AnyRow, now: datetime) -> datetime:
    """Since when it waits: one that had ended waits anew."""
    moment: datetime = row.submitted_at
    return moment if row.status == "pending" else now


def _waits(row: AnyRow, turn: Turn, now: datetime, body: bytes, *, proved: bool) -> dict[str, Any]:
    """It is worked on again: soon, if there is what no turn has asked about yet."""
    asked = row.tries if proved or not turn.denied else _denials(row, turn) // _turns_needed(turn)
    tries = 0 if turn.never_asked or row.status != "pending" else asked
    return {
        "status": "pending",
        "next_try_at": next_try(now, Retried.RECEIPT, tries),
        "submitted_at": _started_at(row, now),
        "body": body,
        "unproven": 0 if proved else len(turn.waiting),
        "denials": _denials(row, turn),
    }


def work_on_receipt(core: Core, receipt_id: int) -> bool:
    """Go on with a pending receipt, as the worker; False if another worker has it."""
    row = core.of_number(receipt_id).transact(lambda tx: RECEIPTS_DUE.take(tx, receipt_id, core.clock.now()))
    account = core.registry.get(row.provider_account) if row is not None else None
    if row is None or account is None:
        return False
    try:
        with as_of(row.submitted_at):  # it was fresh when it came
            received = _verified(account, bytes(row.body), row.user_id)
    except DomainError:
        _refused(core, receipt_id)
        return True
    work_through(core, account, receipt_id, row.user_id, received, bytes(row.body))
    return True


def _refused(core: Core, receipt_id: int) -> None:
    """It proves nothing any more (the settings have changed): the client may bring it again."""
    change = (
        update(Receipt).where(_r.slot == slot_of_number(receipt_id), _r.id == receipt_id).values(**_ENDED, purchases=[])
    )
    core.of_number(receipt_id).transact(lambda tx: tx.execute(change))
