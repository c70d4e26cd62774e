"""Repairs a difference along the normal road: by asking the provider, by applying what the bill tells, by a refund. A
repair is shown first, done only when a person says so, and followed by another comparison, which alone closes the
difference."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial

from sqlalchemy import select

from app.domain.bill_lines import BillSide
from app.domain.differences import DifferenceType
from app.domain.facts import Fact, Kind, Ref
from app.domain.money import Money
from app.domain.report_tables import Amount
from app.models.base import AnyRow
from app.models.bills import BILL_LINES
from app.providers.registry import ProviderAccount
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError
from app.services.base.idempotency import keyed
from app.services.base.reported_fact import ReportedFact
from app.services.bills.counted_lines import LinesOf, counted_lines
from app.services.calls import payment_queries, reference_queries
from app.services.calls.provider_call import call_provider
from app.services.differences.comparisons import Comparison, compare_account
from app.services.differences.difference_rows import (
    UNSETTLED,
    NotDone,
    difference_of,
    find_difference,
    write_change,
)
from app.services.differences.store_repairs import bills_reread, store_asked
from app.services.facts.owner import tell
from app.services.refunds import requests

_INSTANT = timedelta(microseconds=1)
_l = BILL_LINES.c


class Repair(StrEnum):
    ASK = "ask"
    """Ask the provider about the payment, and apply what it answers."""
    APPLY = "apply"
    """Apply what the line of the bill tells, like any other fact."""
    REFUND = "refund"
    """Give the payment's money back, as far as it is not."""
    REREAD = "reread"
    """Fetch the bill of that time from the provider once more, and read it: it may have been made anew."""


_D = DifferenceType
OFFERED: dict[DifferenceType, tuple[Repair, ...]] = {
    _D.OURS_NOT_THEIRS: (Repair.ASK,),
    _D.THEIRS_NOT_OURS: (Repair.ASK, Repair.APPLY),
    _D.STATUS: (Repair.ASK, Repair.APPLY),
    _D.AMOUNT: (Repair.ASK, Repair.REFUND),
    _D.CURRENCY: (Repair.ASK, Repair.REFUND),
    _D.REFUND_MISSING: (Repair.ASK,),
    _D.REFUND_EXTRA: (Repair.APPLY, Repair.ASK),
    _D.DUPLICATE: (Repair.ASK, Repair.REFUND),
    _D.BALANCE: (Repair.REREAD,),
    _D.PAYOUT_MISSING: (Repair.REREAD,),
}
"""What can be done about each type, the usual way first. About the others a person decides: a note, or a write-off."""


def offered_for(row: AnyRow) -> tuple[Repair, ...]:
    """What can be done about this one. A row of one bill that the other bill lacks is never told as a fact, and units
    of a store name no payment: the store is asked for its history of that time."""
    offered = OFFERED.get(DifferenceType(row.type), ())
    if row.side != BillSide.SALES and not difference_of(row).is_between_bills:
        return offered
    return (*(each for each in offered if each is Repair.ASK), Repair.REREAD)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a repair would do."""

    repair: Repair
    row: AnyRow
    account: ProviderAccount
    sentence: str
    fact: Fact | None = None


def plan_repair(core: Core, number: int, repair: Repair | None = None) -> Plan:
    """What would be done about the difference; nothing is. Raises NotFound, NotDone."""
    row = core.home.read(lambda tx: find_difference(tx, number))
    offered = offered_for(row)
    if row.state not in UNSETTLED:
        raise NotDone(f"it is {row.state}")
    if not offered or (repair is not None and repair not in offered):
        raise NotDone(f"{row.type} has no such repair; it has: {', '.join(offered) or 'none'}")
    account = core.registry.get(row.provider_account)
    if account is None:
        raise NotDone(f"provider account {row.provider_account!r} is not configured")
    chosen = repair or offered[0]
    if chosen is Repair.APPLY:
        fact = core.home.read(partial(_told_fact, row=row, account=account))
        money = Amount(fact.money.minor, fact.money.currency).written() if fact.money else "no amount"
        return Plan(chosen, row, account, f"apply that {fact.kind} {money} is told of {row.theirs or row.ours}", fact)
    if chosen is Repair.REREAD:
        return Plan(chosen, row, account, f"fetch the {row.side} of {account.name} for that time again, and read them")
    if row.side == BillSide.SALES:
        return Plan(chosen, row, account, f"ask {account.name} what it told of {row.subject}")
    if row.payment_id is None and row.ours is None and row.theirs is None:
        raise NotDone("it names no payment")
    if chosen is Repair.REFUND:
        if row.payment_id is None:
            raise NotDone("no payment of ours is known: apply the line first")
        return Plan(chosen, row, account, f"refund what is left of payment {row.payment_id}")
    about = f"refund {row.refund} of" if row.refund else "payment"
    return Plan(chosen, row, account, f"ask {account.name} about {about} {row.payment_id or row.ours or row.theirs}")


def carry_out(core: Core, plan: Plan, *, actor: str, reason: str) -> Comparison:
    """Do it, and compare once more. A repeat changes nothing twice. Raises NotDone."""
    row, account = plan.row, plan.account
    if plan.repair is Repair.APPLY and plan.fact is not None:
        applied = tell(core, ReportedFact(account, plan.fact, "bill"))
        outcome = f"{applied.outcome} {applied.reason}".strip()
    elif plan.repair is Repair.REFUND:
        outcome = _refund(core, plan, actor=actor, reason=reason)
    elif plan.repair is Repair.REREAD:
        outcome = bills_reread(core, account, row)
    elif row.side == BillSide.SALES:
        outcome = store_asked(core, account, row)
    else:
        outcome = _ask(core, plan)
    core.home.transact(lambda tx: write_change(tx, row, actor, f"repair_{plan.repair}", f"{outcome}: {reason}"))
    return compare_account(core, account, row.at, row.at + _INSTANT, actor=actor)


def _ask(core: Core, plan: Plan) -> str:
    row = plan.row
    if row.payment_id is None:
        return _ask_about_unknown(core, plan.account, Ref(row.ours, row.theirs))
    if row.refund is None:
        asked = payment_queries.ask(core, row.payment_id)
        return "not asked" if asked is None else f"answered: {asked.answer}"
    if not reference_queries.raise_ask(core, plan.account, Ref(str(row.payment_id), row.theirs, row.refund)):
        raise NotDone("it names nothing by which the provider could be asked")
    return "the worker asks"


def _ask_about_unknown(core: Core, account: ProviderAccount, ref: Ref) -> str:
    """About a payment that is not known here. A bill lists what other systems sold, so its word alone books nothing;
    what the provider answers to our own question is ours, and lands in suspense."""
    query = account.provider.query
    called = call_provider(core, account, "query", lambda: query(ref), seconds=payment_queries.ASK_SECONDS)
    if called.answer is None:
        raise NotDone(called.problem or str(called.end))
    payment_queries.apply_all(core, account, called.answer, "query")
    return f"answered: {len(called.answer)} facts"


def _refund(core: Core, plan: Plan, *, actor: str, reason: str) -> str:
    wanted = requests.Wanted(plan.row.payment_id, None, None, reason, None, actor)
    key = keyed("differences", str(plan.row.id), "refund", {"payment": str(plan.row.payment_id)})
    try:
        return f"refund {requests.request(core, wanted, key)}"
    except DomainError as error:
        raise NotDone(error.detail) from None


def _told_fact(tx: Tx, *, row: AnyRow, account: ProviderAccount) -> Fact:
    """The line as a fact: the same fact, under the same key, that any other road would tell. Raises NotDone."""
    told = counted_lines(tx, LinesOf(row.provider_account, BillSide(row.side)), _l.key == row.line_key, _l.at == row.at)
    line = tx.execute(select(told).order_by(told.c.reading_id.desc()).limit(1)).one_or_none()
    if line is None:
        raise NotDone("no bill that counts has the line any more: compare the day again")
    kind = Kind.PAID if line.amount_minor > 0 else Kind.REFUNDED
    if line.undecided or (line.theirs is None) or (kind is Kind.REFUNDED and line.refund is None):
        raise NotDone("the line does not say enough to be applied: ask the provider")
    return Fact(
        kind,
        Ref(line.ours, line.theirs, line.refund if kind is Kind.REFUNDED else None),
        line.at,
        Money(abs(line.amount_minor), line.currency),
        fee=Money(abs(line.fee_minor), line.currency) if line.fee_minor else None,
        account=account.provider.account,
        live=account.live,
        raw={"bill_line": line.key},
    )
