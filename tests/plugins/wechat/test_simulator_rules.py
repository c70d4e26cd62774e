"""The simulator says no where WeChat Pay does: to refunds that do not fit, and to repairs of what is not broken."""

from __future__ import annotations

import json

import pytest

from app.domain.money import Money
from app.providers import Fact, HttpResponse, Ref, Refunds, Unknown
from app.providers.testing.doubles import FixedClock
from plugins.wechat.simulated.books import MOST_REFUNDS, Refused
from tests.plugins.wechat.worlds import API_URL, V2RefundingWorld, V3World, WeChatWorld

WORLDS: list[type[WeChatWorld]] = [V3World, V2RefundingWorld]


def yuan(fen: int) -> Money:
    return Money(fen, "CNY")


def paid(world: WeChatWorld) -> Fact:
    provider, intent = world.make_provider(world.tools()), world.intent()
    provider.start(intent)
    (message,) = world.pay(intent)
    return provider.receive(message).facts[0]


def refunder(world: WeChatWorld) -> Refunds:
    provider = world.make_provider(world.tools())
    assert isinstance(provider, Refunds)
    return provider


@pytest.mark.parametrize("status", ["PROCESSING", "SUCCESS", "ABNORMAL"])
@pytest.mark.parametrize("world_class", WORLDS)
def test_a_refund_of_more_than_is_left_is_refused_and_proves_nothing_alone(
    world_class: type[WeChatWorld], status: str
) -> None:
    world = world_class(FixedClock())
    payment, provider = paid(world), refunder(world)
    world.wechat.refund_on_the_merchant_site(str(payment.ref.ours), 400, "site-1")
    if status != "PROCESSING":
        world.wechat.finish_refund("site-1", status)
    ref = Ref(ours=payment.ref.ours, refund="81")
    with pytest.raises(Unknown) as told:
        provider.refund(ref, yuan(201), "")
    assert told.value.code == "INVALID_REQUEST"
    assert world.make_provider(world.tools()).query(ref) == ()
    assert provider.refund(ref, yuan(200), "")


@pytest.mark.parametrize("world_class", WORLDS)
def test_what_a_closed_refund_did_not_take_can_be_refunded(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    payment = paid(world)
    world.wechat.refund_on_the_merchant_site(str(payment.ref.ours), 600, "site-1")
    world.wechat.finish_refund("site-1", "CLOSED")
    assert refunder(world).refund(Ref(ours=payment.ref.ours, refund="81"), yuan(600), "")


@pytest.mark.parametrize("world_class", WORLDS)
def test_one_number_is_one_refund_and_another_amount_under_it_is_refused(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    payment, provider = paid(world), refunder(world)
    ref = Ref(ours=payment.ref.ours, refund="81")
    (first,) = provider.refund(ref, yuan(200), "")
    (again,) = provider.refund(ref, yuan(200), "")
    with pytest.raises(Unknown):
        provider.refund(ref, yuan(300), "")
    assert first.ref == again.ref
    assert world.wechat.books.orders[str(payment.ref.ours)].refunded == 200


def test_the_fifty_first_refund_of_an_order_is_refused() -> None:
    world = V3World(FixedClock())
    payment = paid(world)
    for number in range(MOST_REFUNDS):
        world.wechat.refund_on_the_merchant_site(str(payment.ref.ours), 1, f"site-{number}")
    with pytest.raises(Unknown):
        refunder(world).refund(Ref(ours=payment.ref.ours, refund="81"), yuan(1), "")


@pytest.mark.parametrize("status", ["PROCESSING", "SUCCESS", "CLOSED"])
def test_only_an_abnormal_refund_can_be_repaired(status: str) -> None:
    world = V3World(FixedClock())
    world.wechat.refund_on_the_merchant_site(str(paid(world).ref.ours), 100, "site-1")
    if status != "PROCESSING":
        world.wechat.finish_refund("site-1", status)
    with pytest.raises(Refused):
        world.wechat.repair_refund("site-1")
    assert world.wechat.books.refunds["site-1"].status == status


def test_a_person_repairs_an_abnormal_refund_by_the_control_api() -> None:
    world = V3World(FixedClock())

    def repair(refund: str) -> HttpResponse:
        body, headers = json.dumps({"refund": refund}).encode(), {"Content-Type": "application/json"}
        return world.http.request("POST", f"{API_URL}/_control/repair-refund", headers=headers, body=body)

    world.wechat.refund_on_the_merchant_site(str(paid(world).ref.ours), 100, "site-1")
    world.wechat.finish_refund("site-1", "ABNORMAL")
    assert json.loads(repair("site-1").body) == {"refund": "site-1", "status": "SUCCESS"}
    assert repair("none").status == 404
