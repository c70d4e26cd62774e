"""A customer's telephone, a shop that may fail it, and coins that come once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from app.providers import Kind, Message, key_of
from plugins.apple.simulated.device import Device
from plugins.apple.transactions import NON_CONSUMABLE, SUBSCRIPTION
from tests.plugins.apple.world import STORE_URL, TOKEN, Shop, receipt


@dataclass
class Server:
    """An app's server in ten lines: credits each fact once, by its key."""

    shop: Shop
    credited: list[str] = field(default_factory=list)
    received: int = 0

    def submit(self, body: bytes) -> bool:
        self.received += 1
        for fact in self.shop.provider().receive(Message("receipt", body)).facts:
            if fact.kind is Kind.PAID and key_of(fact) not in self.credited:
                self.credited.append(key_of(fact))
        return True


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def server(shop: Shop) -> Server:
    return Server(shop)


@pytest.fixture
def device(shop: Shop, server: Server) -> Device:
    return Device(shop.http, STORE_URL, server.submit, token=TOKEN)


def is_finished(shop: Shop, number: str) -> bool:
    return shop.store.purchases.find("Sandbox", number).finished


def test_it_buys_hands_in_and_finishes(shop: Shop, server: Server, device: Device) -> None:
    bought = device.buy("coins-600", quantity=2)
    assert is_finished(shop, bought)
    assert server.credited == [f"paid:{bought}"]
    assert device.launch() == []


def test_what_an_app_that_crashed_did_not_hand_in_comes_at_its_next_start(
    shop: Shop, server: Server, device: Device
) -> None:
    bought = device.buy("coins-600", crash=True)
    assert server.credited == []
    assert device.launch() == [bought]
    assert server.credited == [f"paid:{bought}"]
    assert is_finished(shop, bought)


def test_without_a_network_it_waits(shop: Shop, server: Server, device: Device) -> None:
    device.lose_network()
    bought = [device.buy("coins-600"), device.buy("coins-600")]
    assert device.launch() == bought
    assert server.received == 0
    device.find_network()
    device.launch()
    assert server.credited == [f"paid:{number}" for number in bought]
    assert all(is_finished(shop, number) for number in bought)


def test_a_lost_answer_makes_it_submit_again_and_nothing_is_credited_twice(
    shop: Shop, server: Server, device: Device
) -> None:
    device.lost_answers = 2
    bought = device.buy("coins-600")
    device.launch()
    assert not is_finished(shop, bought)
    device.launch()
    assert is_finished(shop, bought)
    assert device.resubmit(bought)
    assert (server.received, server.credited) == (4, [f"paid:{bought}"])


def test_a_server_that_does_not_say_so_lets_nothing_be_finished(shop: Shop) -> None:
    device = Device(shop.http, STORE_URL, lambda body: False)
    assert not is_finished(shop, device.buy("coins-600"))


def test_a_restore_brings_what_is_not_consumed_under_its_old_name(shop: Shop, server: Server, device: Device) -> None:
    device.buy("coins-600")
    device.buy("no-ads", product_type=NON_CONSUMABLE)
    device.buy("gold", product_type=SUBSCRIPTION)
    before = list(server.credited)
    assert len(device.restore()) == 2
    assert server.credited == before


def test_it_asks_for_its_money_back(shop: Shop, device: Device) -> None:
    bought = device.buy("coins-600")
    device.ask_refund(bought, "UNSATISFIED_WITH_PURCHASE")
    shop.control("refund", id=bought)
    shop.control("run-due")
    told = [shop.provider().receive(message).facts[0] for message in shop.sent]
    assert [fact.kind for fact in told] == [Kind.PAID, Kind.REFUND_ASKED, Kind.REFUNDED]
    assert told[1].cause == "UNSATISFIED_WITH_PURCHASE"


def test_its_old_receipt_names_what_is_unfinished(shop: Shop, device: Device) -> None:
    device.buy("coins-600")
    waiting = device.buy("coins-600", crash=True)
    asks = shop.provider().receive(receipt(app_receipt=device.app_receipt())).asks
    assert [ask.theirs for ask in asks] == [waiting]


def test_a_device_whose_store_refuses_says_so(device: Device) -> None:
    with pytest.raises(RuntimeError, match="refund"):
        device.ask_refund("404")
