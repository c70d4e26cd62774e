"""A client hands in proof of a purchase that it has already paid for.

The proof is verified without any call, kept, and then worked through: what it proves is credited, what it only names
is asked about. A provider that does not answer leaves it pending; the worker goes on. Handing in the same proof again
gives the same answer and credits nothing.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import func, select, update

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
from app.services.base.errors import Problem, UnknownProviderAccount
from app.services.base.leases import LeaseQueue
from app.services.base.reported_fact import ReportedFact, Road
from app.services.base.sanitize import name_of
from app.services.base.upsert import insert_if_new
from app.services.calls.provider_call import CallEnd, call_provider
from app.services.facts.owner import tell
from app.services.facts.record import Applied

ASK_SECONDS = 5.0
"""How long a client waits for the provider's confirmation before being told `pending`."""
MOST_CALLS = 5
"""Questions that one submission, or one turn of the worker, puts to the provider: the rest waits for later turns."""
RETRY_CAP_SECONDS = 3600
KEEP_ASKING = timedelta(days=7)
"""How long a purchase that is proved and not confirmed, that its buyer has still to pay for, or about which the
provider does not answer, stays pending."""
MOST_DENIALS = 5
"""So often a provider may say that it knows nothing by a number that came without a proof; then it ends as unknown.
With the pauses of `backoff_seconds` that takes some three minutes."""
MOST_UNSETTLED = 20
"""Receipts of one user that wait for a provider."""
MOST_UNPROVEN = 40
"""Numbers of one user that wait for a provider and came without a proof."""
TOO_MANY_RETRY_SECONDS = 60
DUE = LeaseQueue(Receipt.__table__, "next_try_at", "due_receipts")
_r, _f, _o, _p = Receipt.__table__.c, FactRow.__table__.c, Order.__table__.c, Payment.__table__.c
_log = structlog.get_logger(__name__)


class ReceiptRefused(Problem):
    code, status, title = "receipt_refused", 422, "This is not a proof of a purchase in this app."


class ReceiptTooLarge(Problem):
    code, status, title = "receipt_too_large", 413, "The proof is longer than this provider's proofs are."


class TooManyTransactions(Problem):
    code, status, title = "too_many_transactions", 422, "The receipt has too many transactions. Send it in parts."


class TooManyReceipts(Problem):
    code, status, title = "too_many_receipts", 429, "Too many of the user's receipts wait for the store. Try later."
    """The member `retry_after` says in how many seconds there may be room."""


SHOWN = {problem.code: problem for problem in (ReceiptTooLarge, TooManyTransactions)}
"""What a client is told of a refusal, by `Forged.code`: limits that an honest client can meet. Of every other refusal
it is told nothing, since that would help only a forger."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """What one purchase of a receipt became. `finish`: the client may tell the store that it is delivered."""

    transaction: str
    status: str
    """credited, refunded, pending, held (verified, waits for a person), not_yours, unknown."""
    finish: bool
    product: str | None = None
    order: str | None = None


SETTLED = frozenset({"credited", "refunded", "not_yours"})
"""What became of a purchase that needs no further question."""


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
        ensure_user(tx, user_id)
        if _is_over_a_limit(tx, row["slot"], user_id, row["unproven"]):
            raise TooManyReceipts(retry_after=TOO_MANY_RETRY_SECONDS)
        number = core.numbers.next(slot)
        if insert_if_new(tx, Receipt.__table__, {**row, "id": number}):
            return number
        known = _known(tx, row)
        if known is None:
            raise RuntimeError("no free number for a receipt in this slot")
        return known

    return core.transact(work)


def _known(tx: Tx, row: dict[str, Any]) -> int | None:
    same = [_r[name] == row[name] for name in ("slot", "user_id", "provider_account", "digest")]
    return tx.execute(select(_r.id).where(*same)).scalar_one_or_none()


def _is_over_a_limit(tx: Tx, slot: int, user_id: str, unproven: int) -> bool:
    """Two requests at one moment may both pass: one receipt too many does no harm, a lock on the user would."""
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
    row = core.read(lambda tx: _row(tx, receipt_id))
    turn = _Turn(core, account, user_id, user_id if received.bearer_proof else None, row)
    for name, facts in _by_purchase(received.facts):
        turn.take_in(name, facts, "receipt")
    with deadline(ASK_SECONDS):
        turn.ask(received.asks)
    return _record(core, receipt_id, turn, body, proved=received.bearer_proof)


def _row(tx: Tx, receipt_id: int) -> AnyRow:
    return tx.execute(select(*_r).where(_r.slot == slot_of_number(receipt_id), _r.id == receipt_id)).one()


class _Turn:
    """One look at a receipt: what its purchases became, and what is still to be asked."""

    def __init__(self, core: Core, account: ProviderAccount, user_id: str, holder: str | None, row: AnyRow) -> None:
        self._core, self._account, self._user_id, self._holder = core, account, user_id, holder
        self._tries: int = row.tries
        self._recorded = {known["transaction"]: Purchase(**known) for known in row.purchases}
        self.purchases: dict[str, Purchase] = {}
        self.waiting: set[str] = set()
        """The purchases about which the provider has to be asked again."""
        self.never_asked: set[str] = set()
        """Those of them that no turn has asked about yet: a turn has only so many calls."""
        self.denied = True
        """Whether the provider said of all that waits, and was asked about, that it knows no such purchase."""

    def take_in(self, name: str, facts: list[Fact], road: Road) -> None:
        """Apply the facts of one purchase. What goes wrong with one is no reason to leave the others."""
        try:
            told = [
                (fact, tell(self._core, ReportedFact(self._account, fact, road), holder=self._holder)) for fact in facts
            ]
            self.purchases[name] = _purchase(self._core, self._user_id, name, told)
        except Exception:
            _log.exception("purchase_not_applied", provider_account=self._account.name, theirs=name_of(name))
            self._wait(name)
            self.denied = False

    def ask(self, refs: Iterable[Ref]) -> None:
        """First what no turn has asked about, then what is open, in turns. Where all was answered before, it is asked
        about again: it may have been refunded since."""
        new, still_open, settled = self._sorted(refs)
        if still_open:
            first = self._tries * MOST_CALLS % len(still_open)
            still_open = still_open[first:] + still_open[:first]
        unsettled = [*new, *still_open]
        for ref in (unsettled or settled)[:MOST_CALLS]:
            self._ask(ref)
        for ref in unsettled[MOST_CALLS:]:
            if ref in new:
                self.never_asked.add(ref.theirs or "")
            self._wait(ref.theirs or "")
        for ref in settled if unsettled else settled[MOST_CALLS:]:
            self._wait(ref.theirs or "")

    def _sorted(self, refs: Iterable[Ref]) -> tuple[list[Ref], list[Ref], list[Ref]]:
        new: list[Ref] = []
        still_open: list[Ref] = []
        settled: list[Ref] = []
        for ref in refs:
            known = self._recorded.get(name_of(ref.theirs or ""))
            (new if known is None else settled if known.status in SETTLED else still_open).append(ref)
        return new, still_open, settled

    def _ask(self, ref: Ref) -> None:
        """A purchase that the payer has still to pay for (in a shop, by a transfer) is no answer, and is not told."""
        name = ref.theirs or ""
        called = call_provider(
            self._core,
            self._account,
            "query",
            lambda: self._account.provider.query(ref),
            seconds=ASK_SECONDS,
            theirs=name,
        )
        facts = called.answer or ()
        decided = [fact for fact in facts if fact.kind is not Kind.PENDING]
        for about, group in _by_purchase(decided):
            self.take_in(about, group, "query")
        if called.end is CallEnd.DECLINED:
            self._answer_none(name)
        elif not facts or len(decided) < len(facts):
            self._wait(name)
            self.denied = self.denied and called.answered and not facts

    def _answer_none(self, name: str) -> None:
        if name and name not in self.purchases:
            self.purchases[name] = Purchase(name_of(name), "unknown", finish=False)

    def _wait(self, name: str) -> None:
        """No answer: what was settled before stays so, everything else waits."""
        known = self._recorded.get(name_of(name))
        if name and known is not None and known.status in SETTLED:
            self.purchases.setdefault(name, known)
            return
        self.waiting.add(name)
        if name and name not in self.purchases:
            self.purchases[name] = Purchase(name_of(name), "pending", finish=False)

    def give_up(self) -> None:
        """What still waits ends as unknown."""
        for name in self.waiting:
            known = self.purchases.get(name)
            if known is not None and known.status == "pending":
                self.purchases[name] = replace(known, status="unknown")

    def to_record(self) -> list[dict[str, Any]]:
        """What was asked about, or proved: the rest is asked about first in the next turn."""
        return [asdict(purchase) for name, purchase in self.purchases.items() if name not in self.never_asked]


def _by_purchase(facts: Iterable[Fact]) -> list[tuple[str, list[Fact]]]:
    """The facts of each purchase together, in the order of the message."""
    groups: dict[str, list[Fact]] = {}
    for fact in facts:
        groups.setdefault(fact.ref.theirs or fact.ref.agreement or "", []).append(fact)
    return list(groups.items())


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


def _record(core: Core, receipt_id: int, turn: _Turn, body: bytes, *, proved: bool) -> Submitted:
    slot = slot_of_number(receipt_id)

    def work(tx: Tx) -> str:
        row = tx.execute(select(*_r).where(_r.slot == slot, _r.id == receipt_id).with_for_update()).one()
        if _is_over(tx, row, turn, proved=proved):
            turn.give_up()
            changes = dict(_ENDED)
        elif turn.waiting and _started_at(row, tx.now) + KEEP_ASKING < tx.now:
            turn.give_up()
            changes = {**_ENDED, "status": "given_up"}
        else:
            changes = _waits(row, turn, tx.now, body, proved=proved)
        change = update(Receipt).where(_r.slot == slot, _r.id == receipt_id)
        tx.execute(change.values(tries=row.tries + 1, purchases=turn.to_record(), **changes))
        return str(changes["status"])

    status = core.transact(work)
    return Submitted(str(receipt_id), status, list(turn.purchases.values()))


_ENDED: dict[str, Any] = {"status": "settled", "next_try_at": None, "body": b"", "unproven": 0, "denials": 0}
"""A receipt that needs no further question needs no body."""


def _is_over(tx: Tx, row: AnyRow, turn: _Turn, *, proved: bool) -> bool:
    """Whether nothing waits, or the provider has said often enough that it knows nothing by numbers without a proof.

    Numbers without a proof that had ended before, and are handed in again, are asked about once."""
    if not turn.waiting or proved:
        return not turn.waiting
    if row.status != "pending":
        return turn.denied or _is_over_a_limit(tx, row.slot, row.user_id, len(turn.waiting))
    return _denials(row, turn) >= MOST_DENIALS * _turns_needed(turn)


def _turns_needed(turn: _Turn) -> int:
    """To ask once about everything that waits."""
    return math.ceil(len(turn.waiting) / MOST_CALLS)


def _denials(row: AnyRow, turn: _Turn) -> int:
    return int(row.denials) + int(turn.denied and not turn.never_asked)


def _started_at(row: AnyRow, now: datetime) -> datetime:
    """Since when it waits: one that had ended waits anew."""
    moment: datetime = row.submitted_at
    return moment if row.status == "pending" else now


def _waits(row: AnyRow, turn: _Turn, now: datetime, body: bytes, *, proved: bool) -> dict[str, Any]:
    """It is worked on again: soon, if there is what no turn has asked about yet."""
    asked = row.tries if proved or not turn.denied else _denials(row, turn) // _turns_needed(turn)
    tries = 0 if turn.never_asked or row.status != "pending" else asked
    pause = backoff_seconds(tries, random.random(), RETRY_CAP_SECONDS)  # noqa: S311 - keeps no secret
    return {
        "status": "pending",
        "next_try_at": now + timedelta(seconds=pause),
        "submitted_at": _started_at(row, now),
        "body": body,
        "unproven": 0 if proved else len(turn.waiting),
        "denials": _denials(row, turn),
    }


def work_on_due(core: Core, receipt_id: int) -> bool:
    """Go on with a pending receipt, as the worker; False if another worker has it."""
    row = core.transact(lambda tx: DUE.take(tx, receipt_id, core.clock.now()))
    account = core.registry.get(row.provider_account) if row is not None else None
    if row is None or account is None:
        return False
    try:
        with as_of(row.submitted_at):  # it was fresh when it came
            received = _verified(account, bytes(row.body), row.user_id)
    except Problem:
        _refused(core, receipt_id)
        return True
    work_through(core, account, receipt_id, row.user_id, received, bytes(row.body))
    return True


def _refused(core: Core, receipt_id: int) -> None:
    """It proves nothing any more (the settings have changed): the client may bring it again."""
    change = (
        update(Receipt).where(_r.slot == slot_of_number(receipt_id), _r.id == receipt_id).values(**_ENDED, purchases=[])
    )
    core.transact(lambda tx: tx.execute(change))
