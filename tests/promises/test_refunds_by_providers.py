"""Refunds through two real protocols: one tells running totals, the other each refund alone. Simulated, and signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from app.providers.facts import Message
from app.providers.registry import ProviderAccount
from app.services.intake import notifications
from app.services.payments import orders
from plugins.wechat.simulated.books import Refund
from tests.plugins.alipay.actors import Stage, stage
from tests.plugins.wechat.worlds import V3World
from tests.support.buyer import Buyer, target
from tests.support.world import World


@dataclass
class Shop:
    """A buyer who has paid through that provider, and how its news reaches us."""

    buyer: Buyer
    account: ProviderAccount
    news: Callable[[], list[Message]]

    def hear(self, *, backwards: bool = False) -> None:
        """Everything that the provider sends now; in the wrong order if so wanted."""
        messages = self.news()
        for message in reversed(messages) if backwards else messages:
            assert notifications.receive_notification(self.buyer.world.core, self.account, message).status in (200, 204)

    def ask(self, amount: int | None = None) -> str:
        return self.buyer.work(self.buyer.ask(amount))


def bought(world: World, account: ProviderAccount, way: str) -> tuple[Buyer, orders.OrderView]:
    world.serve(account, world.account)
    buyer = Buyer(world)
    view = world.order(buyer.user, key="real", way=way, account=account.name)
    buyer.order_id, buyer.payment_id = view.order.id, view.payments[0].id
    return buyer, view


@pytest.fixture
def alipay(world: World) -> tuple[Shop, Stage]:
    there = stage(clock=world.clock)
    account = ProviderAccount("alipay", "alipay", False, there.provider)
    buyer, view = bought(world, account, "app")
    there.alipay.pay(there.alipay.order_of(view.payments[0].action))
    shop = Shop(buyer, account, there.notices)
    shop.hear()
    assert buyer.coins == 66
    return shop, there


def test_running_totals_from_the_console_in_any_order_come_to_the_last(alipay: tuple[Shop, Stage]) -> None:
    shop, there = alipay
    for fen in (180, 180, 240):
        there.clock.advance(4)
        there.alipay.refund_by_hand(str(shop.buyer.payment_id), fen)
    shop.hear(backwards=True)
    assert (shop.buyer.coins, shop.buyer.refunded) == (0, 600)
    shop.buyer.assert_balanced()


def test_ours_and_a_console_refund_of_one_payment_are_counted_once_each(alipay: tuple[Shop, Stage]) -> None:
    shop, there = alipay
    assert shop.ask(180) == "done"
    shop.hear()
    assert (shop.buyer.coins, shop.buyer.refunded) == (66 - target(180), 180)
    there.alipay.refund_by_hand(str(shop.buyer.payment_id), 120)
    shop.hear()
    assert (shop.buyer.coins, shop.buyer.refunded) == (66 - target(300), 300)
    assert shop.ask() == "done"
    shop.hear()
    assert (shop.buyer.coins, shop.buyer.refunded) == (0, 600)
    assert [row.origin for row in shop.buyer.refunds()] == ["asked", "provider", "asked"]
    shop.buyer.assert_balanced()


def test_a_time_out_after_the_money_went_back_is_one_refund(alipay: tuple[Shop, Stage]) -> None:
    shop, there = alipay
    there.alipay.faults.set(timeout_after=1, lose=5)
    refund = shop.buyer.ask(200)
    assert shop.buyer.work(refund) == "unknown"
    assert shop.buyer.work(refund) == "done"
    assert (shop.buyer.coins, shop.buyer.refunded) == (44, 200)
    shop.buyer.assert_balanced()


@pytest.fixture
def wechat(world: World) -> tuple[Shop, V3World]:
    there = V3World(world.clock)
    account = ProviderAccount("wechat", "wechat", False, there.make_provider(there.tools()))
    buyer, _ = bought(world, account, "native")
    there.wechat.pay(str(buyer.payment_id))
    shop = Shop(buyer, account, lambda: list(there.delivered()))
    shop.hear()
    assert buyer.coins == 66
    return shop, there


def finish(there: V3World, refund: int, status: str = "SUCCESS") -> Refund:
    return there.wechat.finish_refund(str(refund), status)


def test_an_accepted_refund_is_done_when_its_own_notification_says_so(wechat: tuple[Shop, V3World]) -> None:
    shop, there = wechat
    refunds = [shop.buyer.ask(180), shop.buyer.ask(120)]
    assert [shop.buyer.work(refund) for refund in refunds] == ["pending", "pending"]
    assert (shop.buyer.coins, shop.buyer.account.held) == (66, target(300))
    for refund in refunds:
        finish(there, refund)
    shop.hear(backwards=True)
    assert (shop.buyer.coins, shop.buyer.refunded, shop.buyer.account.held) == (66 - target(300), 300, 0)
    assert [row.status for row in shop.buyer.refunds()] == ["done", "done"]
    shop.buyer.assert_balanced()


def test_a_refund_that_the_payers_card_cannot_take_gives_the_coins_back(wechat: tuple[Shop, V3World]) -> None:
    shop, there = wechat
    refund = shop.buyer.ask(300)
    assert shop.buyer.work(refund) == "pending"
    finish(there, refund, "ABNORMAL")
    shop.hear()
    assert shop.buyer.refund(refund).status == "declined"
    assert (shop.buyer.coins, shop.buyer.account.held, shop.buyer.refunded) == (66, 0, 0)
    shop.buyer.assert_balanced()
