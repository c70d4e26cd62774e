"""News that was lost on every other road is found in the provider's bill of that day, once the bill is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from app.providers import Message, Refreshes, Reply, Tools
from app.providers.registry import ProviderAccount
from app.providers.testing.doubles import MemoryKeys, WsgiClient
from app.services.calls import payment_queries, scans
from app.services.payments.orders import OrderView
from plugins.wechat import plugin
from plugins.wechat.simulated.keys import SimulatorConfig, generate_config
from plugins.wechat.simulated.wechat import SimulatedWeChat
from plugins.wechat.simulator import create_simulator
from plugins.wechat.v2.provider import V2Provider
from tests.support.databases import Sessions
from tests.support.world import World, build_world

URL = "http://provider.test"
AN_HOUR = timedelta(hours=1)
BEIJING = timezone(timedelta(hours=8))


@pytest.fixture(scope="module")
def wechat_config() -> SimulatorConfig:
    return generate_config()


@dataclass
class Shop:
    """A Tillbook whose notifications are all lost, and which asks about nothing."""

    world: World
    account: ProviderAccount
    wechat: SimulatedWeChat

    def paid_order(self) -> OrderView:
        order = self.world.order(way="native", account="till")
        self.wechat.pay(str(order.payments[0].id))
        return order

    def scan(self) -> bool:
        return scans.scan_due(self.world.core, self.account, "trade_bill", AN_HOUR)

    def tomorrow_at_ten(self) -> datetime:
        """The next day's ten o'clock in Beijing, as of now."""
        here = self.world.clock.now().astimezone(BEIJING) + timedelta(days=1)
        return here.replace(hour=10, minute=0, second=0, microsecond=0)

    def wait_until(self, moment: datetime) -> None:
        self.world.clock.advance((moment - self.world.clock.now()).total_seconds())


def _lost(_: str, __: Message) -> Reply:
    raise AssertionError("nothing is delivered here")


@pytest.fixture(params=["v3", "v2"])
def shop(
    request: pytest.FixtureRequest,
    engine: Engine,
    sessions: Sessions,
    wechat_config: SimulatorConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> Shop:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    world = build_world(engine, sessions)
    app = create_simulator(wechat_config, public_url=URL, now=world.clock.now, send=_lost)
    settings: Callable[[str], dict[str, object]] = getattr(wechat_config, f"settings_{request.param}")
    tools = Tools(http=WsgiClient(app), clock=world.clock, keys=MemoryKeys(), live=False)
    provider = plugin.build(plugin.settings.model_validate(settings(URL)), tools)
    account = ProviderAccount("till", plugin.name, False, provider, {"trade_bill": 60})
    world.serve(account)
    if isinstance(provider, Refreshes):
        provider.refresh()
    return Shop(world, account, app.extensions["wechat"])


def test_a_payment_is_credited_from_the_bill_and_only_once(shop: Shop) -> None:
    shop.paid_order()
    ready = shop.tomorrow_at_ten()
    shop.wait_until(ready)
    for _ in range(4):
        shop.scan()
        shop.wait_until(shop.tomorrow_at_ten())
    assert shop.world.coins() == 66
    assert shop.world.money("sales") == 600
    shop.world.assert_balanced()


def test_a_refund_is_taken_back_from_the_bill_and_only_once(shop: Shop) -> None:
    number = str(shop.paid_order().payments[0].id)
    shop.wechat.refund_on_the_merchant_site(number, 300, "site-1")
    shop.wechat.finish_refund("site-1")
    for _ in range(3):
        shop.wait_until(shop.tomorrow_at_ten())
        shop.scan()
    assert shop.world.coins() == 33
    assert shop.world.money("sales") == 300
    shop.world.assert_balanced()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("minor", "coins"), [(300, 33), (600, 0)])
def test_a_payment_that_went_back_before_anybody_heard_of_it_gives_no_coins_for_money_that_is_back(
    shop: Shop, minor: int, coins: int
) -> None:
    """API v2 lists the refunds of a payment; v3 says only that there are some, so the payment is held for the bill."""
    payment = shop.paid_order().payments[0].id
    shop.wechat.refund_on_the_merchant_site(str(payment), minor, "site-1")
    shop.wechat.finish_refund("site-1")
    payment_queries.ask(shop.world.core, payment)
    heard = str(shop.world.payment(payment).status), shop.world.coins()
    assert heard == (("paid", coins) if isinstance(shop.account.provider, V2Provider) else ("held", 0))
    for _ in range(3):
        shop.wait_until(shop.tomorrow_at_ten())
        shop.scan()
    assert (str(shop.world.payment(payment).status), shop.world.coins()) == ("paid", coins)
    shop.world.assert_balanced()


def test_a_bill_that_is_not_made_is_waited_for_and_nobody_is_alarmed(shop: Shop) -> None:
    shop.paid_order()
    ready = shop.tomorrow_at_ten()
    shop.world.clock.advance(60)
    with capture_logs() as logged:
        assert shop.scan()  # yesterday's, and then today's, which is not there
    assert {one["log_level"] for one in logged if one["event"] == "provider_call_failed"} == {"info"}
    assert not shop.scan(), "nothing is due"
    shop.wait_until(ready - timedelta(seconds=1))
    assert not shop.scan(), "nor before ten o'clock"
    assert shop.world.coins() == 0
    shop.wait_until(ready)
    assert shop.scan()
    assert shop.world.coins() == 66


def test_a_bill_that_is_spoilt_credits_nothing_until_it_is_whole(shop: Shop) -> None:
    shop.paid_order()
    shop.wait_until(shop.tomorrow_at_ten())
    shop.wechat.situation.bill = "omit"
    with capture_logs() as logged:
        shop.scan()
    assert {one["log_level"] for one in logged if one["event"] == "provider_call_failed"} == {"warning"}
    assert shop.world.coins() == 0
    shop.wechat.situation.bill = "made"
    shop.world.clock.advance(121)
    shop.scan()
    assert shop.world.coins() == 66
