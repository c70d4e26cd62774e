"""The two sides that the tests need: fresh keys (made once per run), a simulator, and a provider that talks to it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.money import Money
from app.providers import Intent, Message, Ref, Reply, Tools
from app.providers.testing.doubles import FixedClock, MemoryKeys, WsgiClient
from plugins.alipay import plugin
from plugins.alipay.provider import AlipayProvider
from plugins.alipay.simulated.alipay import SimulatedAlipay
from plugins.alipay.simulated.keys import DemoKeys, demo_keys
from plugins.alipay.simulator import SimulatorConfig, create_simulator, simulated

BASE_URL = "https://alipay.simulated"
GATEWAY = f"{BASE_URL}/gateway.do"
MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)
JSAPI_EXTRA = {"buyer_id": "2088000000000002", "op_app_id": "2021000000000077"}


@functools.cache
def key_mode() -> DemoKeys:
    return demo_keys()


@functools.cache
def certificate_mode() -> DemoKeys:
    return demo_keys(certificates_at=MADE_AT)


@functools.cache
def strangers() -> DemoKeys:
    """Keys of a third party, in either mode."""
    return demo_keys(certificates_at=MADE_AT)


class Inbox:
    """Takes the notices instead of a network, and answers what it is told to."""

    def __init__(self) -> None:
        self.reply = Reply(200, "text/plain", b"success")
        self.messages: list[Message] = []

    def __call__(self, url: str, message: Message) -> Reply:
        self.messages.append(message)
        return self.reply


@dataclass
class Stage:
    """A provider under test, the simulated Alipay that it speaks to, and the clock that both go by."""

    keys: DemoKeys
    clock: FixedClock
    inbox: Inbox
    alipay: SimulatedAlipay
    http: WsgiClient
    provider: AlipayProvider
    stored: MemoryKeys

    def notices(self) -> list[Message]:
        """The notices that are due now."""
        before = len(self.inbox.messages)
        self.alipay.deliveries.run_due()
        return self.inbox.messages[before:]

    def paid(self, intent: Intent) -> Message:
        """Start and pay the intent; the notice of it."""
        self.alipay.pay(self.alipay.order_of(self.provider.start(intent).action))
        return self.notices()[0]

    def opened(self, intent: Intent) -> None:
        """Start the intent and let a payer open it, so that the trade exists."""
        self.alipay.log_in(self.alipay.order_of(self.provider.start(intent).action))

    def another_provider(self, http: Any = None, **settings: Any) -> AlipayProvider:
        tools = Tools(http=http or self.http, clock=self.clock, keys=self.stored, live=False)
        return build(self.keys.settings(GATEWAY) | settings, tools)


def build(settings: dict[str, Any], tools: Tools) -> AlipayProvider:
    provider = plugin.build(plugin.settings.model_validate(settings), tools)
    assert isinstance(provider, AlipayProvider)
    return provider


def stage(
    keys: DemoKeys | None = None, *, clock: FixedClock | None = None, aes_key: str | None = None, **settings: Any
) -> Stage:
    keys, clock, inbox, stored = keys or key_mode(), clock or FixedClock(), Inbox(), MemoryKeys()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLBOOK_ENV", "test")
        app = create_simulator(
            SimulatorConfig(
                keys=keys,
                base_url=BASE_URL,
                aes_key=aes_key,
                clock=clock.now,
                monotonic=lambda: clock.now().timestamp(),
                send=inbox,
            )
        )
    http = WsgiClient(app)
    secrets = {"aes_key": aes_key} if aes_key else {}
    tools = Tools(http=http, clock=clock, keys=stored, live=False)
    provider = build(keys.settings(GATEWAY) | secrets | settings, tools)
    return Stage(keys, clock, inbox, simulated(app), http, provider, stored)


def intent_for(clock: FixedClock, way: str = "app", number: str = "4503599627370497", **changes: Any) -> Intent:
    """Six yuan for coins, payable for half an hour."""
    intent = Intent(
        ref=Ref(ours=number),
        money=Money(600, "CNY"),
        subject="金币100+10 包",
        product="coins-600",
        quantity=1,
        owner="0b9e1a56-7c39-4d2e-8f60-5a1de2c4b7aa",
        way=way,
        created_at=clock.now(),
        expires_at=clock.now() + timedelta(minutes=30),
        notify_url="https://pay.example.com/webhooks/alipay",
        return_url="https://shop.example.com/back",
        extra=JSAPI_EXTRA if way == "jsapi" else {},
    )
    return replace(intent, **changes)
