"""The sandbox hears of deliveries: of paid payments alone, once, by either number."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.money import Money
from app.providers import Declined, Intent, Ref, Unknown
from app.providers.testing.conformance import make_intent
from app.providers.testing.doubles import FixedClock
from app.providers.testing.doubles import tools as tools_for
from plugins.sandbox.agreements import AgreeingSandbox
from plugins.sandbox.settings import SandboxSettings
from tests.plugins.sandbox.agreeing_world import AgreeingWorld
from tests.plugins.sandbox.world import MERCHANT

DELIVERED = {"about": "delivered"}


class Desk:
    """A payment of 6 yuan, and both sides' view of it."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.world = AgreeingWorld(self.clock)
        self.provider = AgreeingSandbox(
            SandboxSettings(**self.world.settings()), tools_for(self.world.http, clock=self.clock)
        )
        self.intent: Intent = make_intent(self.clock, "page", Money(600, "CNY"))
        self.provider.start(self.intent)

    def kept(self) -> Any:
        return self.world.simulator.books.find(MERCHANT, number=self.intent.ref.ours)


def test_only_what_is_paid_can_be_delivered_and_the_first_telling_counts() -> None:
    desk = Desk()
    with pytest.raises(Declined):
        desk.provider.fulfil(desk.intent.ref, DELIVERED)
    assert desk.kept().delivered_at is None
    desk.world.pay(desk.intent)
    desk.provider.fulfil(desk.intent.ref, DELIVERED)
    first = desk.clock.now()
    desk.clock.advance(3600)
    desk.provider.fulfil(Ref(theirs=desk.kept().id), DELIVERED)
    assert desk.kept().delivered_at == first


@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after", "garbage", "error500"])
def test_a_delivery_without_a_believable_answer_is_told_again(fault: str) -> None:
    desk = Desk()
    desk.world.pay(desk.intent)
    desk.world.simulator.faults.set(**{fault: 1})
    with pytest.raises(Unknown):
        desk.provider.fulfil(desk.intent.ref, DELIVERED)
    desk.provider.fulfil(desk.intent.ref, DELIVERED)
    assert desk.kept().delivered_at == desk.clock.now()


def test_reports_that_the_sandbox_has_no_use_for_are_declined_without_a_call() -> None:
    desk = Desk()
    desk.world.pay(desk.intent)
    asked = len(desk.world.simulator.books.all_of(MERCHANT))
    for about in ("owner", "consumption", "a report of tomorrow"):
        with pytest.raises(Declined):
            desk.provider.fulfil(desk.intent.ref, {"about": about})
    assert desk.kept().delivered_at is None
    assert len(desk.world.simulator.books.all_of(MERCHANT)) == asked
