"""Facts of a store, which knows none of our numbers: whose purchase is it?

The owner token that the purchase carries says so; else whoever claimed it before; else, if the sender holds the store's
signed proof, the sender. Everybody else learns nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import structlog

from app.providers.facts import Kind
from app.services import claims
from app.services.core import Core, environment_of
from app.services.facts import apply_fact
from app.services.recording import Applied
from app.services.refunds import waiting
from app.services.tellings import Telling, checked
from app.services.transaction import read, transact
from app.services.users import find_by_token

_log = structlog.get_logger(__name__)


def tell(core: Core, telling: Telling, *, holder: str | None = None) -> Applied:
    """Apply one fact in a transaction of its own, placed with its buyer first. `holder` is the user who brought the
    store's signed proof of it, if one did."""
    placed = place(core, telling, holder)
    if telling.fact.kind is Kind.PAID:
        _tell_refunds_first(core, placed)
    return transact(core.sessions, lambda session: apply_fact(session, core, placed))


def _tell_refunds_first(core: Core, paid: Telling) -> None:
    """Refunds of the purchase that were told before its buyer was known: told again where the buyer's data are, before
    the purchase is credited, so that its coins are never there to be spent."""
    for row in waiting.told_without_a_buyer(core, paid):
        again = replace(paid, fact=waiting.fact_of(row), road=row.road, message_id=row.message_id)
        transact(core.sessions, partial(apply_fact, core=core, telling=again))
        transact(core.sessions, partial(waiting.settle_without_a_buyer, row=row))


def place(core: Core, telling: Telling, holder: str | None = None) -> Telling:
    """The telling, checked, with its buyer. Claims the purchase for them, if it is one that nobody owns yet."""
    telling = checked(telling, core.clock.now())
    ref = telling.fact.ref
    if telling.faults or ref.ours is not None or (ref.theirs is None and ref.agreement is None):
        return telling
    buyer = _claimed_by(core, telling) or _by_token(core, telling)
    if buyer is None and telling.fact.owner is None:
        buyer = holder
    if buyer is None:
        return telling
    if telling.fact.kind is Kind.PAID:
        buyer = _claim(core, telling, buyer)
    return replace(telling, buyer=buyer)


def _by_token(core: Core, telling: Telling) -> str | None:
    token = telling.fact.owner
    if token is None:
        return None
    user = read(core.sessions, lambda session: find_by_token(session, token))
    return None if user is None else str(user.id)


def _references(telling: Telling) -> list[str]:
    """What to claim: the subscription, if it is one, before its single period."""
    ref = telling.fact.ref
    agreement = [claims.agreement_reference(ref.agreement)] if ref.agreement else []
    return [*agreement, *([ref.theirs] if ref.theirs else [])]


def _claimed_by(core: Core, telling: Telling) -> str | None:
    environment = environment_of(telling.fact.live)
    owners = (claims.owner_of(core, telling.account.name, environment, reference) for reference in _references(telling))
    return next((owner for owner in owners if owner is not None), None)


def _claim(core: Core, telling: Telling, buyer: str) -> str:
    """Claim everything for the buyer; whoever turns out to own the first of it owns the rest."""
    environment = environment_of(telling.fact.live)
    for reference in _references(telling):
        owner = claims.claim(core, telling.account.name, environment, reference, buyer)
        if owner != buyer:
            _log.warning(
                "purchase_claimed_by_another",
                provider_account=telling.account.name,
                theirs=telling.fact.ref.theirs,
                owner=owner,
                claimant=buyer,
            )
            buyer = owner
    return buyer
