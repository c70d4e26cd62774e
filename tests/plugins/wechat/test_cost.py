"""What a stranger can make us do with bogus notifications: less than a millisecond of CPU, and nothing else."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.providers import Forged, Message, Tools
from app.providers.testing.conformance.spoiling import GARBAGE
from app.providers.testing.doubles import FixedClock, NoNetwork
from plugins.wechat.v2.xml import MAX_BYTES
from tests.plugins.wechat.worlds import PublicKeyWorld, V2Md5World, V2World, V3World, WeChatWorld

WORLDS: list[type[WeChatWorld]] = [V3World, PublicKeyWorld, V2World, V2Md5World]
ROUNDS = 40
ONE_MILLISECOND_NS = 1_000_000
BOMB = (
    b'<!DOCTYPE xml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><xml><sign>&c;</sign></xml>'
)


def bogus(world: WeChatWorld) -> Iterator[tuple[str, Message]]:
    genuine = world.samples()["paid"].message
    bodies = {
        "a million bytes": b"A" * 1_000_000,
        "just short enough": b"<xml><a>" + b"A" * 12_000 + b"</a></xml>",
        "many elements": b"<xml>" + b"".join(b"<a%d/>" % i for i in range(1_400)) + b"</xml>",
        "deep": b"<xml>" + b"<a>" * 4_000,
        "attributes": b"<xml " + b"".join(b'a%d="1" ' % i for i in range(1_200)) + b"/>",
        "a bomb": BOMB,
        "references": b"<xml><a>" + b"&lt;" * 3_000 + b"</a></xml>",
        "an envelope that does not open": b"<xml><appid>a</appid><mch_id>b</mch_id><req_info>%s</req_info></xml>"
        % base64.b64encode(b"A" * 8_700),
        "our envelope that does not open": b"<xml><appid>%s</appid><mch_id>%s</mch_id><req_info>%s</req_info></xml>"
        % (world.config.appid.encode(), world.config.mchid.encode(), base64.b64encode(b"A" * 8_704)),
        "deep JSON": b'{"a":' * 10_000,
        "one byte more": genuine.body + b"x",
    }
    for what, body in {**bodies, **{repr(body[:20]): body for body in GARBAGE}}.items():
        yield what, replace(genuine, body=body)
        yield f"{what}, without headers", Message("notification", body)
    for part in world.signature_parts:
        for value in ("", "A" * 344, "A" * 100_000, "7" * 40, "1767323045"):
            if part.read(genuine) != value:
                yield f"{part.name} = {value[:20]}", part.write(genuine, value)
    yield from ((f"forged: {what}", message) for what, message in world.forgeries().items())


@pytest.mark.parametrize("world_class", WORLDS)
def test_a_bogus_notification_costs_less_than_a_millisecond(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    provider = world.make_provider(Tools(http=NoNetwork(), clock=world.clock, keys=world.keys(), live=False))
    costs = {}
    for what, message in bogus(world):
        spent = []
        for _ in range(ROUNDS):
            before = time.thread_time_ns()
            with pytest.raises(Forged):
                provider.receive(message)
            spent.append(time.thread_time_ns() - before)
        costs[what] = sorted(spent)[ROUNDS // 2]
    dear = {what: cost for what, cost in costs.items() if cost >= ONE_MILLISECOND_NS}
    assert not dear


@pytest.mark.parametrize("world_class", WORLDS)
def test_a_bogus_notification_drops_no_key_and_gives_no_hint(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    keys = world.keys()
    held = keys.all()
    provider = world.make_provider(Tools(http=NoNetwork(), clock=world.clock, keys=keys, live=False))
    for what, message in bogus(world):
        with pytest.raises(Forged) as refused:
            provider.receive(message)
        assert refused.value.hint is None, what
        assert 400 <= refused.value.reply.status < 500, what
    assert keys.all() == held
    assert provider.receive(world.samples()["paid"].message).facts


def test_the_longest_xml_that_is_parsed_is_among_the_bogus() -> None:
    """The limit is what bounds the cost, so the samples above must come close to it."""
    lengths = [len(message.body) for what, message in bogus(V2World(FixedClock())) if "attributes" in what]
    assert lengths
    assert all(MAX_BYTES * 0.8 < length <= MAX_BYTES for length in lengths)
