"""What a provider could say about a payment of the test's world, said straight to the core."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.domain.money import Money
from app.providers.facts import Fact, Kind, Ref
from app.providers.registry import ProviderAccount
from app.services.base.reported_fact import ReportedFact
from app.services.facts.owner import tell
from app.services.facts.record import Applied
from tests.support.world import World


def paid_fact(world: World, payment_id: int, **changes: Any) -> Fact:
    """What the provider says when that payment is paid, with something changed."""
    fact = Fact(
        kind=Kind.PAID,
        ref=Ref(ours=str(payment_id), theirs=f"T-{payment_id}"),
        at=world.clock.now(),
        money=Money(600, "CNY"),
        owner=world.owner_of(payment_id),
        account="m-1",
        live=False,
    )
    return replace(fact, **changes)


def told(world: World, fact: Fact, account: ProviderAccount | None = None) -> Applied:
    return tell(world.core, ReportedFact(account or world.account, fact, "notification"))
