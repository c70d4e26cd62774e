"""A refund that the backend asks for is sent in its own request: nobody else sends it meanwhile."""

from __future__ import annotations

from app.domain.money import Money
from app.providers.facts import Fact, Ref
from app.services.calls import refund_calls
from tests.support.altered_provider import altered
from tests.support.buyer import Buyer
from tests.support.world import World


def test_a_refund_that_is_sent_as_it_is_asked_for_is_nobody_elses_meanwhile(world: World) -> None:
    """It is leased in the transaction that writes it down."""
    buyer = Buyer(world)
    buyer.pay()
    provider = altered(world)
    real, taken = provider.refund, []

    def refund(ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        taken.append(refund_calls.work_on_refund(world.core, int(ref.refund or 0)))
        return real(ref, money, reason)

    provider.refund = refund  # type: ignore[method-assign]
    row = buyer.ask_and_send(300)
    assert (row.status, row.amount_minor, row.queries, taken) == ("done", 300, 1, [False])
    assert provider.sent == [300]
    buyer.assert_balanced()


def test_two_refunds_of_one_payment_are_not_sent_in_one_moment(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    provider = altered(world)
    first, second = buyer.ask_and_send(100), buyer.ask_and_send(200)
    assert (first.status, second.status, provider.sent) == ("done", "created", [100])
    assert buyer.work(second.id) == "done"
    assert provider.sent == [100, 200]
    buyer.assert_balanced()
