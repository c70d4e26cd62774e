"""Facts of a store, which knows none of our numbers: whose purchase is it?

The owner token that the purchase carries says so; else whoever claimed it before; else, if the sender holds the store's
signed proof, the sender. Everybody else learns nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import structlog

from app.domain.facts import Kind, fact_of
from app.services.accounts.users import find_by_token
from app.services.base.context import Core, environment_of
from app.services.base.reported_fact import ReportedFact, checked
from app.services.facts import claims
from app.services.facts.apply import apply_fact
from app.services.facts.record import Applied
from app.services.refunds import early_refunds

_log = structlog.get_logger(__name__)


def tell(core: Core, reported: ReportedFact, *, holder: str | None = None) -> Applied:
    """Apply one fact in a transaction of its own, placed with its buyer first. `holder` is the user who brought the
    store's signed proof of it, if one did."""
    placed = place(core, reported, holder)
    if reported.fact.kind is Kind.PAID:
        _tell_refunds_first(core, placed)
    return core.transact(lambda tx: apply_fact(tx, placed))


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
    """The reported, checked, with its buyer. Claims the purchase for them, if it is one that nobody owns yet."""
    reported = checked(reported, core.clock.now())
    ref = reported.fact.ref
    if reported.faults or ref.ours is not None or (ref.theirs is None and ref.agreement is None):
        return reported
    buyer = _claimed_by(core, reported) or _by_token(core, reported)
    if buyer is None and reported.fact.owner is None:
        buyer = holder
    if buyer is None:
        return reported
    if reported.fact.kind is Kind.PAID:
        buyer = _claim(core, reported, buyer)
    return replace(reported, buyer=buyer)


def _by_token(core: Core, reported: ReportedFact) -> str | None:
    token = reported.fact.owner
    if token is None:
        return None
    user = core.read(lambda tx: find_by_token(tx, token))
    return None if user is None else str(user.id)


def _references(reported: ReportedFact) -> list[str]:
    """What to claim: the subscription, if it is one, before its single period."""
    ref = reported.fact.ref
    agreement = [claims.agreement_reference(ref.agreement)] if ref.agreement else []
    return [*agreement, *([ref.theirs] if ref.theirs else [])]


def _claimed_by(core: Core, reported: ReportedFact) -> str | None:
    environment = environment_of(reported.fact.live)
    owners = (
        claims.owner_of(core, reported.account.name, environment, reference) for reference in _references(reported)
    )
    return next((owner for owner in owners if owner is not None), None)


def _claim(core: Core, reported: ReportedFact, buyer: str) -> str:
    """Claim everything for the buyer; whoever turns out to own the first of it owns the rest."""
    environment = environment_of(reported.fact.live)
    for reference in _references(reported):
        owner = claims.claim(core, reported.account.name, environment, reference, buyer)
        if owner != buyer:
            _log.warning(
                "purchase_claimed_by_another",
                provider_account=reported.account.name,
                theirs=reported.fact.ref.theirs,
                owner=owner,
                claimant=buyer,
            )
            buyer = owner
    return buyer
