"""The simulator speaks the real protocol, goes wrong on demand, and keeps out of production."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.domain.money import Money
from app.providers import Forged, Kind, Message, Misconfigured, Provider, Reply, StoredKey, Tools, Unknown
from app.providers.http import RequestsClient
from app.providers.registry import build_accounts
from app.providers.testing.conformance import make_intent
from app.providers.testing.doubles import FixedClock, MemoryKeys
from app.providers.testing.simulator import NotInProduction
from plugins.wechat import plugin
from plugins.wechat.simulated.wechat import RETRY_GAPS, SimulatedWeChat, accepted, wall_clock
from plugins.wechat.simulator import create_simulator
from plugins.wechat.v2.xml import write_xml
from plugins.wechat.v3.provider import CertificateProvider
from tests.plugins.wechat.worlds import API_URL, V2World, V3World, WeChatWorld, other_config, our_config

WORLDS: list[type[WeChatWorld]] = [V3World, V2World]


def started(world: WeChatWorld) -> str:
    intent = world.intent()
    world.make_provider(world.tools()).start(intent)
    return str(intent.ref.ours)


def kinds(provider: Provider, messages: tuple[Message, ...]) -> list[Kind | None]:
    """What each message says; None for one that is refused."""
    told: list[Kind | None] = []
    for message in messages:
        try:
            told += [fact.kind for fact in provider.receive(message).facts]
        except Forged:
            told.append(None)
    return told


@pytest.mark.parametrize("value", ["production", "", "live"])
def test_it_refuses_to_run_in_production(value: str) -> None:
    before = os.environ.get("TILLBOOK_ENV")
    os.environ["TILLBOOK_ENV"] = value
    try:
        with pytest.raises(NotInProduction):
            create_simulator(our_config())
    finally:
        os.environ.pop("TILLBOOK_ENV")
        if before is not None:
            os.environ["TILLBOOK_ENV"] = before


def test_it_retries_by_the_real_schedule_and_then_gives_up() -> None:
    clock, sent = FixedClock(), []

    def refuse(_: str, message: Message) -> Reply:
        sent.append((clock.now().timestamp(), message.headers["wechatpay-timestamp"]))
        return Reply(503, "application/json", b"{}")

    wechat = SimulatedWeChat(our_config(), now=clock.now, send=refuse, tick=lambda: clock.now().timestamp())
    world = V3World(clock)
    world.wechat.books.orders = wechat.books.orders
    wechat.pay(started(world))
    for _ in range(26 * 3600 // 5):
        wechat.deliveries.run_due()
        clock.advance(5)

    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(sent)]
    assert gaps == list(RETRY_GAPS)
    assert sum(gaps) == 24 * 3600 + 4 * 60
    assert [str(int(at)) for at, _ in sent] == [signed for _, signed in sent]
    assert wechat.deliveries.waiting == 0


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(204, "application/json", b""), True),
        (Reply(200, "application/json", b'{"code":"FAIL"}'), True),
        (Reply(500, "application/json", b'{"code":"FAIL"}'), False),
        (Reply(401, "application/json", b"{}"), False),
        (Reply(302, "", b""), False),
        (Reply(200, "text/xml", write_xml({"return_code": "SUCCESS"})), True),
        (Reply(200, "text/xml", write_xml({"return_code": "FAIL"})), False),
        (Reply(503, "text/xml", write_xml({"return_code": "SUCCESS"})), False),
        (Reply(200, "text/xml", b"<xml>"), False),
    ],
)
def test_it_takes_an_answer_as_wechat_does(reply: Reply, expected: bool) -> None:
    assert accepted(reply) is expected


@pytest.mark.parametrize("world_class", WORLDS)
@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ({"lose": 1}, []),
        ({"repeat": 2}, [Kind.PAID] * 3),
        ({"forge": 1}, [None]),
        ({"corrupt": 1}, [None]),
        ({"reorder": 1}, []),
        ({"delay": 60.0}, []),
    ],
)
def test_notifications_go_wrong_on_demand(
    world_class: type[WeChatWorld], faults: dict[str, int], expected: list[Kind | None]
) -> None:
    world = world_class(FixedClock())
    for name, count in faults.items():
        setattr(world.wechat.faults, name, count)
    world.wechat.pay(started(world))
    assert kinds(world.make_provider(world.tools()), world.delivered()) == expected


def test_a_probe_is_refused_and_comes_again_properly_signed() -> None:
    clock = FixedClock()
    world = V3World(clock)
    provider = world.make_provider(world.tools())

    def to_provider(_: str, message: Message) -> Reply:
        try:
            return provider.receive(message).reply
        except Forged as error:
            return error.reply

    world.wechat.deliveries._send = to_provider
    world.wechat.situation.probe_notifications = 1
    world.wechat.pay(started(world))
    world.wechat.deliveries.run_due()
    clock.advance(15)
    world.wechat.deliveries.run_due()

    (first, second) = world.wechat.deliveries.sent
    assert first is second
    assert [reply.status for reply in first.replies] == [401, 204]


@pytest.mark.parametrize("world_class", WORLDS)
@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after", "garbage", "error500"])
def test_calls_go_wrong_on_demand(world_class: type[WeChatWorld], fault: str) -> None:
    world = world_class(FixedClock())
    intent, provider = world.intent(), world.make_provider(world.tools())
    setattr(world.wechat.faults, fault, 1)
    with pytest.raises(Unknown):
        provider.start(intent)
    assert world.payments(intent) == (1 if fault in {"timeout_after", "garbage"} else 0)
    assert provider.start(intent).action["type"] == "qr"


def test_it_refuses_what_our_key_did_not_sign() -> None:
    world = V3World(FixedClock())
    stranger = replace(other_config(), mchid=world.config.mchid, appid=world.config.appid)
    table = world.settings() | {
        "merchant_private_key": stranger.merchant.private_pem,
        "merchant_certificate": stranger.merchant.certificate_pem,
    }
    with pytest.raises(Misconfigured, match="SIGN_ERROR"):
        world.build(table, world.tools()).start(world.intent())


def test_it_refuses_a_request_that_is_five_minutes_old() -> None:
    world, ahead = V3World(FixedClock()), FixedClock()
    ahead.advance(301)
    tools = Tools(http=world.http, clock=ahead, keys=world.keys(), live=False)
    with pytest.raises((Misconfigured, Unknown)):
        world.make_provider(tools).start(world.intent())
    assert not world.wechat.books.orders


def test_a_late_payer_finds_the_order_expired() -> None:
    world = V3World(FixedClock())
    number = started(world)
    world.clock.advance(31 * 60)
    client = browser(world)
    answer = client.post("/_control/pay", json={"number": number})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "ORDER_CLOSED")


def browser(world: WeChatWorld) -> FlaskClient:
    return world._app.test_client()


@pytest.mark.parametrize("world_class", WORLDS)
def test_a_person_pays_at_the_cashier(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    number = started(world)
    client = browser(world)

    assert number in client.get("/").text
    page = client.get(f"/_cashier/{number}?redirect_url=https%3A%2F%2Fshop.example%2Fback").text
    assert "<button>pay</button>" in page
    assert "6.00 CNY" in page
    assert 'href="https://shop.example/back"' in page
    assert "javascript" not in client.get(f"/_cashier/{number}?redirect_url=javascript:alert(1)").text
    assert "SUCCESS" in client.post(f"/_cashier/{number}").text
    assert kinds(world.make_provider(world.tools()), world.delivered()) == [Kind.PAID]
    assert client.get("/_cashier/4503599627370001").status_code == 404


@pytest.mark.parametrize("world_class", WORLDS)
def test_the_control_api_does_all_that_a_person_can(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    client = browser(world)
    paid, closed = started(world), started(world)

    def post(verb: str, **values: Any) -> Any:
        return client.post(f"/_control/{verb}", json=values).get_json()

    assert post("pay", number=paid, coupon=100)["state"] == "SUCCESS"
    assert post("close", number=closed)["state"] == "CLOSED"
    assert post("status", number=closed, word="TOMORROW")["state"] == "TOMORROW"
    assert post("status", number=closed, word="")["state"] == "CLOSED"
    assert post("refund", number=paid, refund="site-1", amount=200) == {"refund": "site-1", "status": "PROCESSING"}
    assert post("finish-refund", refund="site-1", status="ABNORMAL")["status"] == "ABNORMAL"
    assert post("faults", lose=2)["lose"] == 2
    assert post("situation", kind="migrating", rotation="announced")["rotation"] == "announced"
    assert post("situation", kind=1.5)["code"] == "PARAM_ERROR"
    assert post("faults", nothing=1)["code"] == "PARAM_ERROR"
    state = client.get("/_control/state").get_json()
    assert {order["number"]: order["state"] for order in state["orders"]} == {paid: "REFUND", closed: "CLOSED"}
    assert state["refunds"] == [{"refund": "site-1", "status": "ABNORMAL"}]
    assert state["deliveries"]["waiting"] == 2
    assert state["faults"]["lose"] == 2


@pytest.fixture
def served() -> Iterator[tuple[str, dict[str, Any]]]:
    """The simulator as the command serves it: its address, and the settings that it prints."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "plugins.wechat.simulator", "--port", str(port), "--speed", "100"]
    environment = os.environ | {"TILLBOOK_ENV": "test", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout is not None
        printed = b""
        while not printed.endswith(b"# serving\n"):
            line = process.stdout.readline()
            assert line, "the simulator ended early"
            printed += line
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}", tomllib.loads(printed.decode())["provider_accounts"]
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the simulator does not listen")


def test_it_serves_both_generations_over_real_http(served: tuple[str, dict[str, Any]]) -> None:
    url, accounts = served
    http, clock = RequestsClient(), FixedClock(wall_clock())
    for name, table in accounts.items():
        tools = Tools(http=http, clock=clock, keys=MemoryKeys(), live=False)
        provider = _built(name, table, tools)
        if isinstance(provider, CertificateProvider):
            provider.refresh()
            assert all(isinstance(key, StoredKey) for key in tools.keys.all())
        intent = make_intent(clock, "native", Money(600, "CNY"))
        intent = replace(intent, notify_url=f"http://127.0.0.1:1/{name}")
        assert provider.start(intent).action["type"] == "qr"
        assert [fact.kind for fact in provider.query(intent.ref)] == [Kind.PENDING]
        body = json.dumps({"number": intent.ref.ours}).encode()
        headers = {"Content-Type": "application/json"}
        assert http.request("POST", f"{url}/_control/pay", headers=headers, body=body).status == 200
        (fact,) = provider.query(intent.ref)
        assert (fact.kind, fact.money, fact.account) == (Kind.PAID, Money(600, "CNY"), provider.account)


def _built(name: str, table: dict[str, Any], tools: Tools) -> Provider:
    account = build_accounts({name: table}, lambda _name, live: replace(tools, live=live), {"wechat": plugin}).get(name)
    assert account is not None
    assert account.live is False
    return account.provider


def test_its_settings_are_what_the_plugin_takes() -> None:
    for table in (our_config().settings_v3(API_URL), our_config().settings_v2(API_URL)):
        assert plugin.settings.model_validate(table)


def test_a_delayed_and_an_overtaken_notification_come_in_the_end() -> None:
    world = V3World(FixedClock())
    provider = world.make_provider(world.tools())
    numbers = [started(world) for _ in range(3)]
    world.wechat.faults.delay = 60.0
    world.wechat.pay(numbers[0])
    world.wechat.faults.reorder = 1
    world.wechat.pay(numbers[1])
    world.wechat.pay(numbers[2])

    first = [provider.receive(message).facts[0].ref.ours for message in world.delivered()]
    world.clock.advance(60)
    later = [provider.receive(message).facts[0].ref.ours for message in world.delivered()]

    assert first == [numbers[2], numbers[1]]
    assert later == [numbers[0]]
