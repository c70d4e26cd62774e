"""WeChat Pay's keys: kept by serial number, refreshed on a timer, both kinds at once, never fetched for a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.providers import (
    Forged,
    HttpClient,
    HttpResponse,
    Kind,
    Message,
    Misconfigured,
    Provider,
    Refreshes,
    StoredKey,
    Tools,
    Unknown,
)
from app.providers.testing.doubles import FixedClock, MemoryKeys, NoNetwork
from plugins.wechat.simulated.keys import certified
from plugins.wechat.simulated.wechat import SimulatedWeChat
from tests.plugins.wechat.worlds import MigratingWorld, PublicKeyWorld, V3World, our_config


class Watched(MemoryKeys):
    """A key store that remembers what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def get(self, name: str) -> StoredKey | None:
        self.asked.append(name)
        return super().get(name)


def connected(world: V3World, keys: MemoryKeys) -> Provider:
    return world.make_provider(Tools(http=world.http, clock=world.clock, keys=keys, live=False))


def silent(world: V3World, keys: MemoryKeys) -> Provider:
    """The account as a web process has it: any request fails the test."""
    return world.make_provider(Tools(http=NoNetwork(), clock=world.clock, keys=keys, live=False))


def refresh(provider: Provider) -> None:
    assert isinstance(provider, Refreshes)
    provider.refresh()


def names(keys: MemoryKeys) -> set[str]:
    return {key.name for key in keys.all()}


def notified(world: V3World, content: dict[str, Any]) -> Message:
    """A payment that was made before, told again with what signs notifications now."""
    return world.wechat.signer.notification("TRANSACTION.SUCCESS", "transaction", content)


def payment(world: V3World) -> Message:
    return notified(world, world.transaction())


def kinds(provider: Provider, message: Message) -> list[Kind]:
    return [fact.kind for fact in provider.receive(message).facts]


def test_a_rotation_goes_through_without_a_gap() -> None:
    world, keys = V3World(FixedClock()), MemoryKeys()
    config, situation, content = world.config, world.wechat.situation, world.transaction()
    provider = connected(world, keys)
    refresh(provider)
    assert names(keys) == {config.platform.serial}

    situation.rotation = "announced"
    refresh(provider)
    assert names(keys) == {config.platform.serial, config.successor.serial}

    situation.rotation = "both"
    messages = [notified(world, content) for _ in range(4)]
    serials = [message.headers["wechatpay-serial"] for message in messages]
    assert len(set(serials)) == 2
    assert [kinds(silent(world, keys), message) for message in messages] == [[Kind.PAID]] * 4

    situation.rotation = "done"
    refresh(provider)
    assert kinds(silent(world, keys), notified(world, content)) == [Kind.PAID]
    assert names(keys) == {config.platform.serial, config.successor.serial}


def test_both_kinds_of_signature_arrive_in_the_migration() -> None:
    world = MigratingWorld(FixedClock())
    keys, content = MemoryKeys(), world.transaction()
    refresh(connected(world, keys))
    messages = [notified(world, content) for _ in range(4)]

    serials = [message.headers["wechatpay-serial"] for message in messages]
    assert all(one.startswith("PUB_KEY_ID_") != other.startswith("PUB_KEY_ID_") for one, other in pairwise(serials))
    assert [kinds(silent(world, keys), message) for message in messages] == [[Kind.PAID]] * 4


class SeeingSerials:
    """Passes requests on and notes which key each wants the answer signed with."""

    def __init__(self, inner: HttpClient) -> None:
        self._inner = inner
        self.serials: list[str | None] = []

    def request(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **rest: Any) -> HttpResponse:
        self.serials.append((headers or {}).get("Wechatpay-Serial"))
        return self._inner.request(method, url, headers=headers, **rest)


@pytest.mark.parametrize(
    ("world_class", "wanted"), [(V3World, None), (PublicKeyWorld, our_config().public_key_id)], ids=["old", "new"]
)
def test_answers_are_asked_for_under_the_public_key_where_there_is_one(
    world_class: type[V3World], wanted: str | None
) -> None:
    world = world_class(FixedClock())
    line = SeeingSerials(world.http)
    provider, intent = world.make_provider(world.tools(line)), world.intent()
    provider.start(intent)
    provider.query(intent.ref)
    assert line.serials == [wanted, wanted]


def test_a_refresh_drops_nothing_whatever_the_answer() -> None:
    for listing in ("missing", "empty"):
        world, keys = V3World(FixedClock()), MemoryKeys()
        provider = connected(world, keys)
        refresh(provider)
        world.wechat.situation.listing = listing
        with pytest.raises(Misconfigured, match="set platform_public_key and platform_public_key_id"):
            refresh(provider)
        assert kinds(silent(world, keys), payment(world)) == [Kind.PAID]


def test_a_merchant_with_the_public_key_needs_no_certificates() -> None:
    for listing in ("missing", "empty"):
        world, keys = MigratingWorld(FixedClock()), MemoryKeys()
        world.wechat.situation.listing = listing
        world.wechat.situation.kind = "public_key"
        refresh(connected(world, keys))
        assert not keys.all()
        assert kinds(silent(world, keys), payment(world)) == [Kind.PAID]


def test_a_probe_on_the_download_stores_nothing_and_the_next_one_does() -> None:
    world, keys = V3World(FixedClock()), MemoryKeys()
    provider = connected(world, keys)
    world.wechat.situation.probe_answers = 1
    with pytest.raises(Unknown):
        refresh(provider)
    assert not keys.all()
    refresh(provider)
    assert keys.all()


def test_our_own_certificate_is_not_taken_for_wechats() -> None:
    world = V3World(FixedClock())
    impostor = SimulatedWeChat(replace(world.config, platform=world.config.merchant), now=world.clock.now)
    world.wechat.v3._signer = impostor.signer
    with pytest.raises(Unknown, match="our own key"):
        refresh(connected(world, MemoryKeys()))


def test_an_unknown_serial_number_costs_one_look_and_no_call() -> None:
    world, keys = V3World(FixedClock()), Watched()
    keys.put(StoredKey(world.config.platform.serial, world.config.platform.certificate_pem.encode()))
    message = payment(world)
    provider = silent(world, keys)
    for serial in ("7" * 40, "PUB_KEY_ID_0000000000000000", "../../etc/passwd", "7" * 5000, "", "\x00"):
        with pytest.raises(Forged) as refused:
            provider.receive(replace(message, headers={**message.headers, "wechatpay-serial": serial}))
        assert refused.value.hint is None
        assert refused.value.reply.status == 401
    assert keys.asked == ["7" * 40, "PUB_KEY_ID_0000000000000000"]
    assert kinds(provider, message) == [Kind.PAID]


def test_an_expired_platform_certificate_signs_nothing() -> None:
    clock = FixedClock()
    old = certified("Tenpay.com sign", ends=datetime(2026, 1, 2, 4, 0, 0, tzinfo=UTC))
    world = V3World(clock, replace(our_config(), platform=old))
    provider, content = silent(world, _holding(world)), world.transaction()
    assert kinds(provider, notified(world, content)) == [Kind.PAID]
    clock.advance(3600)
    with pytest.raises(Forged, match="no key"):
        provider.receive(notified(world, content))


def test_the_end_of_the_last_platform_certificate_is_announced() -> None:
    clock = FixedClock()
    world = V3World(clock, replace(our_config(), platform=certified("x", ends=datetime(2026, 1, 20, tzinfo=UTC))))
    with capture_logs() as logged:
        refresh(connected(world, MemoryKeys()))
    assert [event["event"] for event in logged if event["log_level"] == "warning"] == ["platform_certificate_ends_soon"]


def test_something_odd_in_the_key_store_is_no_key_and_no_crash() -> None:
    world, keys = V3World(FixedClock()), MemoryKeys()
    message = payment(world)
    keys.put(StoredKey(world.config.platform.serial, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"))
    provider = silent(world, keys)
    with pytest.raises(Forged):
        provider.receive(message)
    refresh(connected(world, keys))
    assert kinds(provider, message) == [Kind.PAID]


def _holding(world: V3World) -> MemoryKeys:
    keys = MemoryKeys()
    keys.put(StoredKey(world.config.platform.serial, world.config.platform.certificate_pem.encode()))
    return keys
