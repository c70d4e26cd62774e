"""A client hands in proof of a purchase that it has already paid for.

The proof is verified without any call, kept, and then worked through: what it proves is credited, what it only names
is asked about. A provider that does not answer leaves it pending; the worker goes on. Handing in the same proof again
gives the same answer and credits nothing.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update

from app.domain.facts import Fact, Kind, Ref
from app.domain.numbers import slot_of_number, slot_of_user
from app.domain.schedule import LEASE_SECONDS, backoff_seconds
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.models.orders import FactRow, Order, Payment
from app.models.receipts import Receipt
from app.providers.errors import Forged
from app.providers.facts import Message, Received
from app.providers.http import deadline
from app.providers.limits import faults_of
from app.providers.registry import ProviderAccount
from app.services.accounts.users import ensure_user
from app.services.base.context import Core, Tx, as_of
from app.services.base.errors import DomainError, UnknownProviderAccount
from app.services.base.leases import LeaseQueue
from app.services.base.reported_fact import ReportedFact, Road
from app.services.base.sanitize import name_of
from app.services.base.upsert import insert_if_new
from app.services.calls.provider_call import CallEnd, call_provider
from app.services.facts.owner import tell
from app.services.facts.record import Applied

ASK_SECONDS = 5.0
"""How long a client waits for the provider's confirmation before being told `pending`."""
RETRY_CAP_SECONDS = 3600
KEEP_ASKING = timedelta(days=7)
"""How long a purchase that the provider does not know, or does not answer about, stays pending."""
DUE = LeaseQueue(Receipt.__table__, "next_try_at", "due_receipts")
_r, _f, _o, _p = Receipt.__table__.c, FactRow.__table__.c, Order.__table__.c, Payment.__table__.c
_log = structlog.get_logger(__name__)


class ReceiptRefused(DomainError):
    code = "receipt_refused"


@dataclass(frozen=True, slots=True)
class Purchase:
    """What one purchase of a receipt became. `finish`: the client may tell the store that it is delivered."""

    transaction: str
    status: str
    """credited, refunded, pending, held (verified, waits for a person), not_yours, unknown."""
    finish: bool
    product: str | None = None
    order: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    receipt: str
    status: str
    purchases: list[Purchase]


def submit(core: Core, account_name: str, user_id: str, body: bytes) -> Submitted:
    """Take in a proof of purchase. Raises ReceiptRefused, without saying why, for one that proves nothing."""
    account = core.registry.get(account_name)
    if account is None:
        raise UnknownProviderAccount(provider_account=account_name)
    received = _verified(account, body, user_id)
    receipt_id = _keep(core, account_name, user_id, body)
    return work_through(core, account, receipt_id, user_id, received)


def _verified(account: ProviderAccount, body: bytes, user_id: str) -> Received:
    try:
        return account.provider.receive(Message("receipt", body, {"content-type": "application/json"}))
    except Forged as error:
        _log.warning("receipt_refused", provider_account=account.name, user=user_id, why=error.code or str(error))
        raise ReceiptRefused from None


def _keep(core: Core, account_name: str, user_id: str, body: bytes) -> int:
    """Store the proof before anything else, due again soon should this process die; its number, new or known."""
    now, slot = core.clock.now(), slot_of_user(user_id)
    digest = hashlib.sha256(body).hexdigest()
    row = {
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
    }

    def work(tx: Tx) -> int:
        ensure_user(tx, user_id)
        number = core.numbers.next(slot)
        if insert_if_new(tx, Receipt.__table__, {**row, "id": number}):
            return number
        known = select(_r.id).where(
            _r.slot == slot, _r.user_id == user_id, _r.provider_account == account_name, _r.digest == digest
        )
        return int(tx.execute(known).scalar_one())

    return core.transact(work)


def work_through(core: Core, account: ProviderAccount, receipt_id: int, user_id: str, received: Received) -> Submitted:
    """Credit what is proved, ask about what is named, and record what each purchase became."""
    holder = user_id if received.bearer_proof else None
    found = {name: _tell_all(core, account, facts, "receipt", holder) for name, facts in _by_purchase(received.facts)}
    purchases = [_purchase(core, user_id, name, applied) for name, applied in found.items()]
    shown = {purchase.transaction: purchase for purchase in purchases}
    waiting = False
    with deadline(ASK_SECONDS):
        for ref in received.asks:
            answered, told = _ask(core, account, ref, holder)
            waiting = waiting or not answered
            for name, applied in told.items():
                shown[name] = _purchase(core, user_id, name, applied)
            if not told and ref.theirs and ref.theirs not in shown:
                shown[ref.theirs] = Purchase(name_of(ref.theirs), "pending", finish=False)
    return _record(core, receipt_id, list(shown.values()), waiting=waiting)


def _by_purchase(facts: Iterable[Fact]) -> list[tuple[str, list[Fact]]]:
    """The facts of each purchase together, in the order of the message."""
    groups: dict[str, list[Fact]] = {}
    for fact in facts:
        groups.setdefault(fact.ref.theirs or fact.ref.agreement or "", []).append(fact)
    return list(groups.items())


def _tell_all(
    core: Core, account: ProviderAccount, facts: list[Fact], road: Road, holder: str | None
) -> list[tuple[Fact, Applied]]:
    return [(fact, tell(core, ReportedFact(account, fact, road), holder=holder)) for fact in facts]


def _ask(
    core: Core, account: ProviderAccount, ref: Ref, holder: str | None
) -> tuple[bool, dict[str, list[tuple[Fact, Applied]]]]:
    """(whether the provider gave an answer to build on, what the facts in it became).

    A purchase that the payer has still to pay for (in a shop, by a transfer) is no answer yet, and is not told.
    """
    called = call_provider(
        core, account, "query", lambda: account.provider.query(ref), seconds=ASK_SECONDS, theirs=ref.theirs
    )
    facts = called.answer
    if facts is None:
        return called.end is CallEnd.DECLINED, {}
    decided = [fact for fact in facts if fact.kind is not Kind.PENDING]
    told = {name: _tell_all(core, account, group, "query", holder) for name, group in _by_purchase(decided)}
    return bool(facts) and len(decided) == len(facts), told


def _purchase(core: Core, user_id: str, name: str, told: list[tuple[Fact, Applied]]) -> Purchase:
    """What to tell the client. Another user's purchase is told apart from nothing but its own."""
    name = name_of(name)
    paid = next((applied for fact, applied in told if fact.kind is Kind.PAID), None)
    if paid is None:
        return Purchase(name, "unknown", finish=False)
    if any(faults_of(fact) for fact, _ in told):
        return Purchase(name, "held", finish=False)
    if paid.buyer != user_id:
        # For the operator: who brought whose proof. The caller is told nothing of it.
        _log.warning("receipt_of_another_user", theirs=name, caller=user_id, owner=paid.buyer, fact=paid.fact_id)
        return Purchase(name, "not_yours", finish=False)
    order = _order_of(core, paid)
    if order is None:
        return Purchase(name, "held", finish=False)
    refunded = any(one.kind is Kind.REFUNDED for one, _ in told) or _is_refunded(core, paid)
    credited = Outcome.APPLIED in (paid.outcome, paid.reason)
    status = "refunded" if refunded else "credited" if credited else "held"
    return Purchase(name, status, finish=status != "held", product=order.sku, order=str(order.id))


def _order_of(core: Core, applied: Applied) -> AnyRow | None:
    """The order of the fact's payment."""
    payment_id = applied.payment_id
    if payment_id is None:
        return None
    wanted = (
        select(_o.id, _o.sku)
        .join(Payment, (_p.slot == _o.slot) & (_p.order_id == _o.id))
        .where(_o.slot == slot_of_number(payment_id), _p.id == payment_id)
    )
    return core.read(lambda tx: tx.execute(wanted).one_or_none())


def _is_refunded(core: Core, applied: Applied) -> bool:
    """Whether the last word on the payment's refund is that it was refunded: an old proof does not know."""
    if applied.payment_id is None:
        return False
    wanted = (
        select(_f.kind)
        .where(
            _f.slot == applied.slot,
            _f.payment_id == applied.payment_id,
            _f.kind.in_([Kind.REFUNDED, Kind.REFUND_UNDONE]),
        )
        .order_by(_f.at.desc(), _f.id.desc())
        .limit(1)
    )
    return core.read(lambda tx: tx.execute(wanted).scalar_one_or_none()) == Kind.REFUNDED


def _record(core: Core, receipt_id: int, purchases: list[Purchase], *, waiting: bool) -> Submitted:
    slot, now = slot_of_number(receipt_id), core.clock.now()

    def work(tx: Tx) -> str:
        row = tx.execute(select(*_r).where(_r.slot == slot, _r.id == receipt_id)).one()
        status, next_try_at = _next(row, now, waiting=waiting)
        tx.execute(
            update(Receipt)
            .where(_r.slot == slot, _r.id == receipt_id)
            .values(
                status=status,
                next_try_at=next_try_at,
                tries=row.tries + 1,
                purchases=[asdict(purchase) for purchase in purchases],
            )
        )
        return status

    return Submitted(str(receipt_id), core.transact(work), purchases)


def _next(row: AnyRow, now: datetime, *, waiting: bool) -> tuple[str, datetime | None]:
    if not waiting:
        return "settled", None
    if now - row.submitted_at > KEEP_ASKING:
        return "given_up", None
    pause = backoff_seconds(row.tries, random.random(), RETRY_CAP_SECONDS)  # noqa: S311 - keeps no secret
    return "pending", now + timedelta(seconds=pause)


def work_on_due(core: Core, receipt_id: int) -> bool:
    """Go on with a pending receipt, as the worker; False if another worker has it."""
    row = core.transact(lambda tx: DUE.take(tx, receipt_id, core.clock.now()))
    account = core.registry.get(row.provider_account) if row is not None else None
    if row is None or account is None:
        return False
    try:
        with as_of(row.submitted_at):  # it was fresh when it came
            received = _verified(account, bytes(row.body), row.user_id)
    except ReceiptRefused:
        _record(core, receipt_id, [], waiting=False)
        return True
    work_through(core, account, receipt_id, row.user_id, received)
    return True
