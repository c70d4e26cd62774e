"""Rules for the optional verb `fulfil`."""

from __future__ import annotations

from functools import partial

from app.providers import ProviderError
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
