"""An order that WeChat Pay would not take any more is declined, and not sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app.providers import Declined, Misconfigured, ProviderError
from app.providers.testing.doubles import FixedClock, WsgiClient
from plugins.wechat.simulated.books import LEAST_TIME
from plugins.wechat.values import LEAST_SECONDS, TOO_LITTLE_TIME
from plugins.wechat.ways import WAYS
from tests.plugins.wechat.worlds import PublicKeyWorld, V2World, WeChatWorld

WORLDS = [PublicKeyWorld, V2World]


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("world_class", WORLDS)
def test_an_order_with_less_than_the_least_time_left_is_declined_before_any_request(
    world_class: type[WeChatWorld], way: str
) -> None:
    world = world_class(FixedClock())
    provider, intent = world.make_provider(world.tools()), world.intent(way)
    left = timedelta(seconds=LEAST_SECONDS, microseconds=-1)
    late = replace(intent, expires_at=world.clock.now() + left)
    with pytest.raises(Declined) as told:
        provider.start(late)
    assert told.value.code == TOO_LITTLE_TIME
    assert isinstance(world.http, WsgiClient)
    assert world.http.requests == []


@pytest.mark.parametrize("world_class", WORLDS)
def test_the_least_time_is_enough_for_wechat_pay(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    provider, intent = world.make_provider(world.tools()), world.intent()
    assert getattr(provider, "least_seconds") == LEAST_SECONDS > LEAST_TIME.total_seconds()  # noqa: B009
    in_time = replace(intent, expires_at=world.clock.now() + timedelta(seconds=LEAST_SECONDS))
    assert provider.start(in_time).action


@pytest.mark.parametrize("world_class", WORLDS)
def test_wechat_pay_refuses_an_order_that_ends_in_a_minute(world_class: type[WeChatWorld]) -> None:
    """Its clock is a second ahead of ours, which is enough."""
    world = world_class(FixedClock())
    behind = FixedClock()
    behind.advance(-1)
    tools = replace(world.tools(), clock=behind)
    intent = replace(world.intent(), expires_at=world.clock.now() + LEAST_TIME)
    with pytest.raises(ProviderError) as told:
        world.make_provider(tools).start(intent)
    assert isinstance(told.value, Declined)
    assert not isinstance(told.value, Misconfigured)
    assert told.value.code == "PARAM_ERROR"
    assert world.wechat.books.orders == {}
