"""What the purchases of a receipt become: one look at them, with a bounded number of questions to the provider."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog
from sqlalchemy import select

from app.domain.facts import AGREEMENT_KINDS, Fact, Kind, Ref
from app.domain.numbers import slot_of_number
from app.domain.status import NEEDS_A_PERSON, Outcome
from app.models.base import AnyRow
from app.models.orders import FactRow, Order, Payment
from app.providers.limits import faults_of
from app.providers.registry import ProviderAccount
from app.services.agreements import agreement_rows
from app.services.agreements.entitlements import is_in_force
from app.services.base.context import Core, Tx, environment_of
from app.services.base.reported_fact import ReportedFact, Road
from app.services.base.sanitize import name_of
from app.services.calls import call_log
from app.services.calls.provider_call import CallEnd, CallSubject, ProviderCall, call_provider
from app.services.facts.owner import tell
from app.services.facts.record import Applied

PURCHASE_SECONDS = 5.0
"""How long a client waits for the provider's confirmation before being told `pending`."""
MOST_CALLS = 5
"""Questions that one submission, or one turn of the worker, puts to the provider: the rest waits for later turns."""
_f, _o, _p = FactRow.__table__.c, Order.__table__.c, Payment.__table__.c
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Purchase:
    """What one purchase of a receipt became. `finish`: the client may tell the store that it is delivered."""

    transaction: str
    status: str
    """credited, refunded, entitled (in force for nothing), ended (it was so), pending, held (verified, waits for a
    person), not_yours, unknown."""
    finish: bool
    product: str | None = None
    order: str | None = None


SETTLED = frozenset({"credited", "refunded", "entitled", "ended", "not_yours"})
"""What became of a purchase that needs no further question."""


class Turn:
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
        self._subject = CallSubject(row.slot, receipt=row.id)
        self._calls: list[tuple[ProviderCall[tuple[Fact, ...]], Sequence[Fact], int | None]] = []
        self._payments: dict[str, int] = {}
        """Our payments, in the receipt's own slot, by the store's number of their purchase."""
        self.denied = True
        """Whether the provider said of all that waits, and was asked about, that it knows no such purchase."""

    def take_in(self, facts: Iterable[Fact], road: Road) -> None:
        """Apply the facts, one purchase after the other."""
        for name, group in _by_purchase(facts):
            self._take_in(name, group, road)

    def _take_in(self, name: str, facts: list[Fact], road: Road) -> None:
        """Apply the facts of one purchase. What goes wrong with one is no reason to leave the others."""
        try:
            told = [
                (fact, tell(self._core, ReportedFact(self._account, fact, road), holder=self._holder)) for fact in facts
            ]
            self.purchases[name] = _purchase(self._core, self._user_id, self._account.name, name, told)
            for _, applied in told:
                if applied.payment_id is not None and applied.slot == self._subject.slot:
                    self._payments[name] = applied.payment_id
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
            seconds=PURCHASE_SECONDS,
            subject=self._subject,
            theirs=name,
        )
        facts = called.answer or ()
        decided = [fact for fact in facts if fact.kind is not Kind.PENDING]
        self.take_in(decided, "query")
        self._calls.append((called, facts, self._payments.get(name)))
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

    def keep_calls(self, tx: Tx) -> None:
        """Write down the questions that this turn put."""
        call_log.keep_calls(tx, self._calls)

    def to_record(self) -> list[dict[str, Any]]:
        """What was asked about, or proved: the rest is asked about first in the next turn. What the proof alone has
        settled is recorded as pending while a question about it has no answer: the next turn must not take the record
        for one."""
        return [
            asdict(replace(purchase, status="pending") if name in self.waiting else purchase)
            for name, purchase in self.purchases.items()
            if name not in self.never_asked
        ]


def _by_purchase(facts: Iterable[Fact]) -> list[tuple[str, list[Fact]]]:
    """The facts of each purchase together, in the order of the message."""
    groups: dict[str, list[Fact]] = {}
    for fact in facts:
        groups.setdefault(fact.ref.theirs or fact.ref.agreement or "", []).append(fact)
    return list(groups.items())


def _purchase(core: Core, user_id: str, account: str, name: str, told: list[tuple[Fact, Applied]]) -> Purchase:
    """What to tell the client. Another user's purchase is told apart from nothing but its own."""
    name = name_of(name)
    word, applied = next(((fact, applied) for fact, applied in told if fact.kind is Kind.PAID), told[-1])
    is_given = word.kind in AGREEMENT_KINDS and applied.buyer is not None
    if word.kind is not Kind.PAID and not is_given:
        return Purchase(name, "unknown", finish=False)
    if any(faults_of(fact) for fact, _ in told):
        return Purchase(name, "held", finish=False)
    if applied.buyer != user_id:
        # For the operator: who brought whose proof. The caller is told nothing of it.
        _log.warning("receipt_of_another_user", theirs=name, caller=user_id, owner=applied.buyer, fact=applied.fact_id)
        return Purchase(name, "not_yours", finish=False)
    return (
        _given(core, account, name, word, told=applied, user_id=user_id)
        if is_given
        else _bought(core, name, told, applied)
    )


def _bought(core: Core, name: str, told: list[tuple[Fact, Applied]], paid: Applied) -> Purchase:
    """What the user has paid for."""
    order = _order_of(core, paid)
    if order is None and Outcome.NOTED in (paid.outcome, paid.reason):  # a period that an earlier system credited
        return Purchase(name, "credited", finish=True)
    if order is None:
        return Purchase(name, "held", finish=False)
    refunded = any(one.kind is Kind.REFUNDED for one, _ in told) or _is_refunded(core, paid)
    credited = Outcome.APPLIED in (paid.outcome, paid.reason)
    status = "refunded" if refunded else "credited" if credited else "held"
    return Purchase(name, status, finish=status != "held", product=order.sku, order=str(order.id))


def _given(core: Core, account: str, name: str, word: Fact, *, told: Applied, user_id: str) -> Purchase:
    """What the user pays nothing for: tried, or shared by somebody of the family. No order is made of it."""
    if told.outcome in NEEDS_A_PERSON:
        return Purchase(name, "held", finish=False)
    keys = (account, environment_of(word.live), word.ref.agreement or "")
    row = core.of_user(user_id).read(lambda tx: agreement_rows.find_claimed(tx, user_id, *keys))
    if row is None:
        return Purchase(name, "ended", finish=True)
    status = "entitled" if is_in_force(row, core.clock.now()) else "ended"
    return Purchase(name, status, finish=True, product=row.sku)


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
    return core.of_number(payment_id).read(lambda tx: tx.execute(wanted).one_or_none())


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
    return core.at(applied.slot).read(lambda tx: tx.execute(wanted).scalar_one_or_none()) == Kind.REFUNDED
