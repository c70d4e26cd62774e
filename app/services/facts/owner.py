"""Facts of a store, which knows none of our numbers: whose purchase is it?

Whoever has it already keeps it. Else it is whose token the store signs now, whatever is remembered of the agreement.
Else it is whoever has the agreement; else, if the sender holds the store's signed proof, the sender. Everybody else
learns nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import structlog

from app.domain.facts import REFUND_KINDS, Kind, fact_of
from app.domain.status import Outcome
from app.services.accounts.users import find_by_token
from app.services.base.context import Core, environment_of
from app.services.base.reported_fact import ReportedFact, checked
from app.services.facts import claims
from app.services.facts.apply import apply_fact
from app.services.facts.record import Applied
from app.services.payments import payment_rows
from app.services.refunds import early_refunds

_log = structlog.get_logger(__name__)


def tell(core: Core, reported: ReportedFact, *, holder: str | None = None) -> Applied:
    """Apply one fact in a transaction of its own, placed with its buyer first. `holder` is the user who brought the
    store's signed proof of it, if one did."""
    placed = place(core, reported, holder)
    if reported.fact.kind is Kind.PAID:
        _tell_refunds_first(core, placed)
    applied = core.transact(lambda tx: apply_fact(tx, placed))
    if placed.buyer is not None:
        _end_what_was_nobodys(core, placed)
    return applied


def _end_what_was_nobodys(core: Core, placed: ReportedFact) -> None:
    """A history may have told the fact when nobody had claimed the purchase: then it lies, not ours, where the store's
    number puts it. It is found there no more, since it has been told where its buyer's data are."""
    nobodys = replace(placed, buyer=None)
    if nobodys.slot == placed.slot:
        return
    names = (nobodys.slot, placed.account.name, environment_of(placed.fact.live), placed.key)
    row = core.read(lambda tx: payment_rows.fact(tx, *names))
    if row is not None and row.outcome == Outcome.NOT_OURS:
        core.transact(partial(early_refunds.settle_without_a_buyer, row=row))


def _tell_refunds_first(core: Core, paid: ReportedFact) -> None:
    """Refunds of the purchase that were told before its buyer was known: told again where the buyer's data are, before
    the purchase is credited, so that its coins are never there to be spent."""
    for row in early_refunds.told_without_a_buyer(core, paid):
        again = replace(
            paid, fact=fact_of(row.kind, row.at, row.content, row.raw), road=row.road, message_id=row.message_id
        )
        core.transact(partial(apply_fact, reported=again))
        core.transact(partial(early_refunds.settle_without_a_buyer, row=row))


def place(core: Core, reported: ReportedFact, holder: str | None = None) -> ReportedFact:
    """The reported, checked, with the account whose money it is, and its buyer. Claims a purchase for them, if it is
    one that nobody owns yet."""
    reported = checked(reported, core.clock.now())
    if reported.fact.account not in (None, reported.account.provider.account):
        reported = replace(reported, account=core.registry.whose(reported.account, reported.fact.account))
    ref = reported.fact.ref
    if reported.faults or ref.ours is not None or (ref.theirs is None and ref.agreement is None):
        return reported
    buyer = _buyer(core, reported, holder)
    if buyer is None:
        return reported
    if reported.fact.kind is Kind.PAID:
        buyer = _claim(core, reported, buyer)
    return replace(reported, buyer=buyer)


def _buyer(core: Core, reported: ReportedFact, holder: str | None) -> str | None:
    """In this order: who has this very purchase already; whom the store names now; who has the agreement; who holds the
    proof, if the store names nobody.

    A refund is about the purchase that it names: the agreement may have gone over to somebody else since.
    """
    fact = reported.fact
    buyer = _claimed_by(core, reported, fact.ref.theirs) or _by_token(core, reported)
    if buyer is None and fact.ref.agreement and fact.kind not in REFUND_KINDS:
        buyer = _claimed_by(core, reported, claims.agreement_reference(fact.ref.agreement))
    return holder if buyer is None and fact.owner is None else buyer


def _by_token(core: Core, reported: ReportedFact) -> str | None:
    token = reported.fact.owner
    if token is None:
        return None
    user = core.read(lambda tx: find_by_token(tx, token))
    return None if user is None else str(user.id)


def _claimed_by(core: Core, reported: ReportedFact, reference: str | None) -> str | None:
    if reference is None:
        return None
    return claims.owner_of(core, reported.account.name, environment_of(reported.fact.live), reference)


def _claim(core: Core, reported: ReportedFact, buyer: str) -> str:
    """Claim the period or purchase for the buyer, and then note it at its agreement; its owner, who may be another.

    The period first: a process that dies in between notes it at the next telling."""
    fact, account, environment = reported.fact, reported.account.name, environment_of(reported.fact.live)
    owner = buyer if fact.ref.theirs is None else claims.claim(core, account, environment, fact.ref.theirs, buyer)
    if owner != buyer:
        _log.warning(
            "purchase_claimed_by_another",
            provider_account=account,
            theirs=fact.ref.theirs,
            owner=owner,
            claimant=buyer,
        )
    if fact.ref.agreement:
        claims.claim_agreement(core, account, environment, fact.ref.agreement, owner, paid_at=fact.at)
    return owner
