"""Each real plugin keeps the promises with its simulator: order, pay, notification, console refund, books."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine

from app.providers.facts import Message, Reply
from app.providers.registry import ProviderAccount
from app.providers.testing.doubles import MemoryKeys, WsgiClient
from app.providers.tools import Tools
from app.providers.verbs import Plugin, Refreshes
from app.services.intake import notifications
from app.services.payments.orders import OrderView
from app.worker import Worker
from plugins.alipay import plugin as alipay
from plugins.alipay import simulator as alipay_simulator
from plugins.alipay.simulated.keys import demo_keys
from plugins.wechat import plugin as wechat
from plugins.wechat.simulated.keys import SimulatorConfig, generate_config
from plugins.wechat.simulator import create_simulator
from tests.support.databases import Sessions
from tests.support.world import World, build_world

URL = "http://provider.test"


@dataclass
class Till:
    """A Tillbook with one account at one simulated provider, and what its payer and its console can do."""

    world: World
    way: str
    pay: Callable[[OrderView], None]
    refund_at_console: Callable[[OrderView, int, str], None]
    deliver: Callable[[], int]

    def order(self) -> OrderView:
        return self.world.order(way=self.way, account="till")


@pytest.fixture(scope="module")
def wechat_config() -> SimulatorConfig:
    return generate_config()


@pytest.fixture(params=["wechat-v3", "wechat-v2", "alipay"])
def till(
    request: pytest.FixtureRequest,
    engine: Engine,
    sessions: Sessions,
    wechat_config: SimulatorConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> Till:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    world = build_world(engine, sessions)
    receiver: dict[str, Any] = {}

    def send(_: str, message: Message) -> Reply:
        return notifications.receive_notification(receiver["core"], receiver["account"], message)

    build = _alipay if request.param == "alipay" else _wechat
    plugin, settings, http, way, pay, refund, deliver = build(request.param, world, wechat_config, send)
    tools = Tools(http=http, clock=world.clock, keys=MemoryKeys(), live=False)
    provider = plugin.build(plugin.settings.model_validate(settings), tools)
    account = ProviderAccount("till", plugin.name, False, provider)
    world.serve(account)
    receiver.update(core=world.core, account=account)
    if isinstance(provider, Refreshes):
        provider.refresh()
    return Till(world, way, pay, refund, deliver)


Built = tuple[Plugin, dict[str, Any], WsgiClient, str, Any, Any, Any]


def _wechat(name: str, world: World, config: SimulatorConfig, send: Any) -> Built:
    app = create_simulator(
        config, public_url=URL, now=world.clock.now, send=send, tick=lambda: world.clock.now().timestamp()
    )
    simulated = app.extensions["wechat"]

    def pay(view: OrderView) -> None:
        simulated.pay(str(view.payments[0].id))

    def refund(view: OrderView, fen: int, number: str) -> None:
        simulated.refund_on_the_merchant_site(str(view.payments[0].id), fen, number)
        simulated.finish_refund(number)

    settings = config.settings_v3(URL) if name == "wechat-v3" else config.settings_v2(URL)
    return wechat, settings, WsgiClient(app), "native", pay, refund, simulated.deliveries.run_due


def _alipay(_: str, world: World, __: SimulatorConfig, send: Any) -> Built:
    keys = demo_keys()
    config = alipay_simulator.SimulatorConfig(
        keys=keys,
        base_url=URL,
        clock=world.clock.now,
        monotonic=lambda: world.clock.now().timestamp(),
        send=send,
    )
    app = alipay_simulator.create_simulator(config)
    simulated = alipay_simulator.simulated(app)

    def pay(view: OrderView) -> None:
        simulated.pay(simulated.order_of(view.payments[0].action))

    def refund(view: OrderView, fen: int, number: str) -> None:
        simulated.refund_by_hand(str(view.payments[0].id), fen, number)

    settings = keys.settings(f"{URL}/gateway.do")
    return alipay, settings, WsgiClient(app), "precreate", pay, refund, simulated.deliveries.run_due


def test_a_payment_is_credited_and_told_again_changes_nothing(till: Till) -> None:
    view = till.order()
    till.pay(view)
    till.deliver()
    assert till.world.coins() == 66
    for _ in range(2):
        till.world.clock.advance(60)
        Worker(till.world.core).run_once()
    assert till.world.coins() == 66
    assert till.world.money("sales") == 600
    till.world.assert_balanced()


def test_a_lost_notification_is_found_by_the_query(till: Till) -> None:
    view = till.order()
    till.pay(view)
    till.world.clock.advance(30)
    Worker(till.world.core).run_once()
    assert till.world.coins() == 66
    till.deliver()
    assert till.world.coins() == 66
    till.world.assert_balanced()


def test_a_refund_made_at_the_console_takes_the_coins_back_once(till: Till) -> None:
    view = till.order()
    till.pay(view)
    till.deliver()
    till.refund_at_console(view, 300, "console-1")
    till.deliver()
    for _ in range(3):
        till.world.clock.advance(60)
        Worker(till.world.core).run_once()
        till.deliver()
    assert till.world.coins() == 33
    assert till.world.money("sales") == 300
    till.world.assert_balanced()


def test_an_unpaid_order_ends_at_the_provider_and_here(till: Till) -> None:
    view = till.order()
    for _ in range(6):
        till.world.clock.advance(900)
        Worker(till.world.core).run_once()
    assert till.world.order_row(view.order.id).status == "expired"
    assert till.world.coins() == 0
    with pytest.raises(Exception):  # noqa: B017, PT011 - each simulator refuses in its own words
        till.pay(view)
    till.world.assert_balanced()
