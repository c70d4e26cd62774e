"""The simulator behaves like a provider, badly on demand, and never in production."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import SecretStr
from werkzeug.test import Client

from app.domain.money import Money
from app.providers import Declined, Forged, Intent, Kind, Message, Misconfigured, Reply, Unknown
from app.providers.testing.conformance import make_intent
from app.providers.testing.doubles import FixedClock, WsgiClient
from app.providers.testing.doubles import tools as tools_for
from app.providers.testing.simulator import NotInProduction
from plugins.sandbox import plugin
from plugins.sandbox.provider import SandboxProvider
from plugins.sandbox.settings import SandboxSettings
from plugins.sandbox.signing import ID, TIMESTAMP
from plugins.sandbox.simulated.books import PAGE_SIZE
from plugins.sandbox.simulator import Simulator, SimulatorConfig, create_simulator

ROOT = Path(__file__).parents[3]
SECRET = "ours: a secret of more than 32 bytes"
TEST = {"TILLBOOK_ENV": "test"}


class Shop:
    """A merchant whose server answers notifications as told, with a simulator of its own."""

    def __init__(self) -> None:
        self.clock, self.inbox, self.answers = FixedClock(), list[Message](), list[int]()
        self.app = create_simulator(SimulatorConfig({"m-1": SECRET}, clock=self.clock, send=self._arrive), TEST)
        self.simulator: Simulator = self.app.extensions["sandbox"]
        self.browser = Client(self.app)
        settings = SandboxSettings(base_url="http://sandbox.example", merchant="m-1", secret=SecretStr(SECRET))
        self.provider = SandboxProvider(settings, tools_for(WsgiClient(self.app), clock=self.clock))

    def started(self) -> Intent:
        intent = make_intent(self.clock, "page", Money(600, "CNY"))
        self.provider.start(intent)
        return intent

    def control(self, path: str, **document: Any) -> Any:
        answer = self.browser.post(f"/_control/{path}", json=document)
        assert answer.status_code == 200, answer.text
        return answer.json

    def kinds(self, intent: Intent) -> list[Kind]:
        return [fact.kind for fact in self.provider.query(intent.ref)]

    def _arrive(self, url: str, message: Message) -> Reply:
        assert url == "https://shop.example/webhooks/under-test"
        self.inbox.append(message)
        return Reply(self.answers.pop(0) if self.answers else 200, "text/plain", b"")


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.mark.parametrize("environ", [{}, {"TILLBOOK_ENV": "production"}, {"TILLBOOK_ENV": "PROD"}])
def test_it_refuses_production(environ: dict[str, str]) -> None:
    with pytest.raises(NotInProduction):
        create_simulator(SimulatorConfig({"m-1": SECRET}), environ)


def test_a_live_account_has_no_sandbox() -> None:
    settings = SandboxSettings(base_url="http://sandbox.example", merchant="m-1", secret=SecretStr(SECRET))
    with pytest.raises(Misconfigured, match="live = false"):
        plugin.build(settings, replace(tools_for(), live=True))


def test_a_payer_pays_at_the_cashier(shop: Shop) -> None:
    intent = make_intent(shop.clock, "page", Money(600, "CNY"))
    url = str(shop.provider.start(intent).action["url"])
    page = shop.browser.get(url)
    assert "<button>Pay</button>" in page.text
    assert "6.00 CNY" in page.text
    assert "&amp;" in page.text, "the subject is escaped"
    pressed = shop.browser.post(url)
    assert (pressed.status_code, pressed.location) == (303, "https://shop.example/back")
    assert "<button>" not in shop.browser.get(url).text
    shop.control("deliver")
    assert [fact.kind for fact in shop.provider.receive(shop.inbox[0]).facts] == [Kind.PAID]


def test_a_notification_is_sent_until_it_is_accepted(shop: Shop) -> None:
    shop.answers = [500, 404, 200]
    intent = shop.started()
    shop.control(f"payments/{intent.ref.ours}/pay")
    for gap in (0, 5, 30, 300):
        shop.clock.advance(gap)
        shop.control("deliver")
    assert len(shop.inbox) == 3
    assert len({message.headers[ID] for message in shop.inbox}) == 1
    assert len({message.headers[TIMESTAMP] for message in shop.inbox}) == 3
    assert len({message.body for message in shop.inbox}) == 1


@pytest.mark.parametrize(("fault", "arrivals"), [("lose", 0), ("repeat", 2), ("reorder", 0)])
def test_a_notification_is_lost_repeated_or_held_back(shop: Shop, fault: str, arrivals: int) -> None:
    shop.control("faults", **{fault: 1})
    shop.control(f"payments/{shop.started().ref.ours}/pay")
    shop.control("deliver")
    assert len(shop.inbox) == arrivals


@pytest.mark.parametrize("fault", ["corrupt", "forge"])
def test_a_spoilt_notification_is_refused(shop: Shop, fault: str) -> None:
    shop.control("faults", **{fault: 1})
    shop.control(f"payments/{shop.started().ref.ours}/pay")
    shop.control("deliver")
    with pytest.raises(Forged):
        shop.provider.receive(shop.inbox[0])


@pytest.mark.parametrize(
    ("fault", "made"), [("timeout_before", False), ("timeout_after", True), ("garbage", True), ("error500", False)]
)
def test_a_call_that_goes_wrong_is_unknown(shop: Shop, fault: str, made: bool) -> None:
    shop.control("faults", **{fault: 1})
    intent = make_intent(shop.clock, "page", Money(600, "CNY"))
    with pytest.raises(Unknown):
        shop.provider.start(intent)
    assert shop.kinds(intent) == ([Kind.PENDING] if made else [])


@pytest.mark.parametrize("faults", [{"lost": 1}, {"lose": -1}, {"lose": "1"}, {"_lock": 1}])
def test_a_fault_that_there_is_not_is_refused(shop: Shop, faults: dict[str, object]) -> None:
    assert shop.browser.post("/_control/faults", json=faults).status_code == 400


def test_a_payment_past_its_time_is_closed(shop: Shop) -> None:
    intent = shop.started()
    shop.clock.advance(31 * 60)
    assert shop.kinds(intent) == [Kind.CLOSED]
    assert shop.browser.post(f"/_control/payments/{intent.ref.ours}/pay").status_code == 409


def test_a_number_is_not_used_for_something_else(shop: Shop) -> None:
    intent = shop.started()
    other = make_intent(shop.clock, "page", Money(700, "CNY"))
    with pytest.raises(Declined, match="NUMBER_TAKEN"):
        shop.provider.start(replace(other, ref=intent.ref))


def test_a_history_longer_than_a_page_is_read_to_its_end(shop: Shop) -> None:
    numbers = []
    for _ in range(PAGE_SIZE + 1):
        intent = shop.started()
        shop.control(f"payments/{intent.ref.ours}/pay")
        numbers.append(intent.ref.ours)
    since = shop.clock.now()
    shop.clock.advance(60)
    first = shop.provider.scan("payments", since, shop.clock.now(), None)
    assert len(first.facts) == PAGE_SIZE
    second = shop.provider.scan("payments", since, shop.clock.now(), first.cursor)
    assert second.cursor is None
    assert [fact.ref.ours for fact in (*first.facts, *second.facts)] == numbers


@pytest.mark.parametrize(("event", "noted"), [("ping", False), ("tomorrows.event", True)])
def test_an_event_of_tomorrow_is_noted(shop: Shop, event: str, noted: bool) -> None:
    received = shop.provider.receive(shop.simulator.notification("m-1", {"event": event}))
    assert (received.facts, bool(received.note)) == ((), noted)


def test_strangers_learn_nothing(shop: Shop) -> None:
    assert shop.browser.get("/v1/payments/1").status_code == 401
    assert shop.browser.get("/v1/payments/1", headers={"sandbox-merchant": "m-1"}).status_code == 401


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def serve(port: int) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "plugins.sandbox.simulator", "--port", str(port), "--secret", SECRET]
        environ = {**os.environ, "TILLBOOK_ENV": environment}
        served = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True)
        started.append(served)
        return served

    yield start
    for served in started:
        served.terminate()
        served.communicate()


def test_it_is_served_by_its_module(serve: Callable[[str], subprocess.Popen[str]], port: int) -> None:
    serve("demo")
    for _ in range(200):
        try:
            answer = requests.get(f"http://127.0.0.1:{port}/v1/payments/1", timeout=5)
            break
        except requests.ConnectionError:
            time.sleep(0.1)
    assert answer.json() == {"error": "NOT_AUTHENTIC"}


def test_its_module_refuses_production(serve: Callable[[str], subprocess.Popen[str]]) -> None:
    _, said = serve("production").communicate(timeout=60)
    assert "NotInProduction" in said
