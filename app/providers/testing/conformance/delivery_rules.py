"""Rules for the optional verb `fulfil`."""

from __future__ import annotations

from functools import partial
from typing import Any

from app.providers import Declined, Fulfils, ProviderError
from app.providers.testing.conformance.checks import RuleGroup, attempt, has, online, where
from app.providers.testing.conformance.journeys import fulfil, paid


class DeliveryRules(RuleGroup):
    """ReportedFact the provider that the goods were delivered."""

    @where(has("fulfil"))
    def test_a_delivery_reaches_the_provider(self) -> None:
        """After `fulfil` the provider knows of the delivery, and not before; telling it again is no error."""
        world = self.world()
        provider = online(world)
        intent, payment = paid(world, provider)
        assert not world.delivered(intent), "delivered before anybody said so"
        fulfil(provider, payment.ref)
        assert world.delivered(intent), "fulfil returned, and the provider does not know of the delivery"
        again = attempt(partial(fulfil, provider, payment.ref), "fulfil again")
        assert not isinstance(again, ProviderError), f"fulfil again: {type(again).__name__}: {again}"

    @where(has("fulfil"))
    def test_each_report_is_taken_or_declined(self) -> None:
        """Whose a purchase is, what was used of it, and reports of a later version of the core: what the provider has
        no use for is Declined, and never told again."""
        world = self.world()
        provider = online(world)
        _, payment = paid(world, provider)
        assert isinstance(provider, Fulfils), "World.traits declares fulfil, but the provider has no such verb"
        asked_at = payment.at.isoformat()
        used: dict[str, Any] = {
            "about": "consumption",
            "consented": True,
            "asked_at": asked_at,
            "consumed_share": 40_000,
        }
        wishes = ("grant_full", "grant_prorated", "decline")
        reports: list[dict[str, Any]] = [
            {"about": "owner", "owner": "7e3fb20b-4cdb-47cc-936d-99d65f608138"},
            {**used, "delivery": "delivered"},
            *({**used, "delivery": "delivered", "wish": wish} for wish in wishes),
            {"about": "a report of tomorrow"},
        ]
        for report in reports:
            told = attempt(partial(provider.fulfil, payment.ref, report), f"fulfil about {report['about']}")
            problem = f"fulfil({report}): {type(told).__name__}: {told}"
            assert not isinstance(told, ProviderError) or isinstance(told, Declined), problem
