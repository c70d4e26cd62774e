"""The simulator keeps Alipay's rules, so that a plugin that works with it works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from alipay import AliPay
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from app.providers import Forged, Kind, Message, Ref, Reply, Tools
from app.providers.http import RequestsClient
from app.providers.testing.doubles import FixedClock, MemoryKeys
from app.providers.testing.simulator import NotInProduction
from plugins.alipay.simulated.alipay import RETRY_GAPS, accepted
from plugins.alipay.simulator import SimulatorConfig, create_simulator, kept_keys, simulated
from tests.plugins.alipay.actors import BASE_URL, Inbox, Stage, build, intent_for, key_mode, stage

OURS = "4503599627370497"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def here() -> Stage:
    return stage()


@pytest.fixture
def browser(here: Stage) -> FlaskClient:
    """A person in front of the simulated Alipay."""
    app = here.http._client.application
    assert isinstance(app, Flask)
    return app.test_client()


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def button(page: str, label: str) -> str:
    """Where the button of that name posts to."""
    found = re.search(rf'action="([^"]+)"><button[^>]*>{label}', page)
    assert found is not None, f"no button {label!r}"
    return found[1]


def control(browser: FlaskClient, command: str, **body: Any) -> dict[str, Any]:
    answer = browser.post(f"/_control/{command}", json=body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.get_json()
    return content


@pytest.mark.parametrize("value", [None, "", "production", "prod", "staging", "PRODUCTION"])
def test_it_refuses_to_start_in_production(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("TILLBOOK_ENV", raising=False)
    if value is not None:
        monkeypatch.setenv("TILLBOOK_ENV", value)
    with pytest.raises(NotInProduction):
        create_simulator(SimulatorConfig(keys=key_mode()))


def test_it_refuses_to_be_run_in_production() -> None:
    command = [sys.executable, "-m", "plugins.alipay.simulator", "--port", "0", "--keys", "/nonexistent/never-made"]
    outcome = subprocess.run(
        command, cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, timeout=60, check=False
    )
    assert outcome.returncode != 0
    assert "NotInProduction" in outcome.stderr


# --- pages


def test_a_person_pays_a_page_payment_and_comes_back(here: Stage, browser: FlaskClient) -> None:
    action = here.provider.start(intent_for(here.clock, "page")).action
    page = browser.get(path_of(action["url"])).text
    assert "¥6.00" in page
    assert list(here.alipay.gateway.trades) == [], "no trade before the log-in"
    page = browser.post(button(page, "Log in")).text
    assert [trade.status for trade in here.alipay.gateway.trades] == ["WAIT_BUYER_PAY"]
    answer = browser.post(button(page, "Pay now"))
    assert answer.status_code == 302
    assert answer.location.startswith("https://shop.example.com/back?")
    assert dict(parse_qsl(urlsplit(answer.location).query))["method"] == "alipay.trade.page.pay.return"
    assert here.provider.receive(here.notices()[0]).facts[0].kind is Kind.PAID


def test_a_return_address_has_a_signature_that_the_sdk_accepts(here: Stage) -> None:
    here.paid(intent_for(here.clock, "page"))
    address = here.alipay.gateway.return_address(here.alipay.gateway.trades.find(OURS))
    fields = dict(parse_qsl(urlsplit(address).query))
    sdk = AliPay(
        appid=here.keys.app_id,
        app_private_key_string=here.keys.app_private_key,
        alipay_public_key_string=here.keys.alipay_public_key,
    )
    assert sdk.verify(fields, fields.pop("sign"))


def test_a_person_scans_and_pays(here: Stage, browser: FlaskClient) -> None:
    action = here.provider.start(intent_for(here.clock, "precreate")).action
    assert list(here.alipay.gateway.trades) == [], "no trade before the scan"
    page = browser.get(path_of(action["code"])).text
    assert len(list(here.alipay.gateway.trades)) == 1
    assert "Paid" in browser.post(button(page, "Pay now")).text


def test_a_wallet_pays_an_order_string(here: Stage, browser: FlaskClient) -> None:
    action = here.provider.start(intent_for(here.clock, "app")).action
    page = browser.get(f"/app?{action['order_string']}").text
    browser.post(button(page, "Pay now"))
    assert here.provider.query(intent_for(here.clock).ref)[0].kind is Kind.PAID


def test_a_mini_program_pays_by_trade_number(here: Stage, browser: FlaskClient) -> None:
    action = here.provider.start(intent_for(here.clock, "jsapi")).action
    page = browser.get(f"/jsapi/{action['trade_no']}").text
    assert "Paid" in browser.post(button(page, "Pay now")).text
    assert browser.get("/jsapi/1").status_code == 400


def test_a_person_gives_up(here: Stage, browser: FlaskClient) -> None:
    intent = intent_for(here.clock, "wap", extra={"quit_url": "https://shop.example.com/quit"})
    page = browser.get(path_of(here.provider.start(intent).action["url"])).text
    assert browser.post(button(page, "Give up")).location == "https://shop.example.com/quit"
    assert here.provider.query(intent.ref) == ()


def test_nobody_pays_twice_or_after_the_time(here: Stage, browser: FlaskClient) -> None:
    action = here.provider.start(intent_for(here.clock, "wap")).action
    page = browser.get(path_of(action["url"])).text
    pay = button(page, "Pay now")
    assert browser.post(pay).status_code == 302
    assert browser.post(pay).status_code == 400
    late = here.provider.start(intent_for(here.clock, "app", number="77")).action
    here.clock.advance(1800)
    refused = browser.post("/_control/pay", json={"action": dict(late)})
    assert (refused.status_code, refused.get_json()["error"]) == (409, "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR")


def test_a_spoilt_browser_payment_shows_the_payer_an_error_in_gbk(here: Stage, browser: FlaskClient) -> None:
    url = here.provider.start(intent_for(here.clock, "page")).action["url"]
    answer = browser.get(path_of(url).replace("6.00", "0.01"))
    assert answer.content_type == "text/html;charset=GBK"
    assert "isv.invalid-signature" in answer.data.decode("gbk")


def test_what_a_merchant_names_cannot_become_markup(here: Stage, browser: FlaskClient) -> None:
    action = here.provider.start(intent_for(here.clock, "wap", subject="<script>alert(1)<")).action
    assert "<script>" not in browser.get(path_of(action["url"])).text


# --- gateway


def post(browser: FlaskClient, **fields: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(browser.post(f"/gateway.do?{urlencode(fields)}").data)
    return content


def test_a_request_that_lacks_its_envelope_is_refused_without_a_signature(browser: FlaskClient) -> None:
    answer = post(browser)
    assert answer["error_response"]["code"] == "40001"
    assert "sign" not in answer


def test_the_app_id_is_looked_at_before_the_signature(here: Stage, browser: FlaskClient) -> None:
    query = here.provider._client.signed_query("alipay.trade.query", {"out_trade_no": OURS})
    fields = dict(parse_qsl(query))
    wrong = [fields | {"app_id": "1", "sign": "x"}, fields | {"sign": "x"}, fields | {"method": "alipay.x"}]
    codes = [next(iter(post(browser, **each).values()))["sub_code"] for each in wrong]
    assert codes == ["isv.invalid-app-id", "isv.invalid-signature", "isv.invalid-signature"]


def test_answers_escape_slashes_and_are_labelled_as_html(here: Stage, browser: FlaskClient) -> None:
    here.provider.start(intent_for(here.clock, "precreate"))
    query = here.provider._client.signed_query("alipay.trade.query", {"out_trade_no": OURS})
    answer = browser.post(f"/gateway.do?{query}")
    assert (answer.status_code, answer.content_type) == (200, "text/html;charset=utf-8")
    intent = intent_for(here.clock, "precreate", number="78")
    here.provider.start(intent)
    code = here.alipay.gateway.answer(dict(parse_qsl(_precreate(here, "79"))))
    assert "https:\\/\\/" in code


def _precreate(here: Stage, number: str) -> str:
    business = {
        "out_trade_no": number,
        "subject": "x",
        "total_amount": "6.00",
        "product_code": "QR_CODE_OFFLINE",
        "time_expire": "2026-01-02 11:34:05",
    }
    return here.provider._client.signed_query("alipay.trade.precreate", business)


# --- notices


def test_an_unaccepted_notice_comes_eight_times_in_a_day(here: Stage) -> None:
    here.inbox.reply = Reply(200, "text/plain", b"fail")
    here.paid(intent_for(here.clock))
    for gap in RETRY_GAPS:
        here.clock.advance(gap - 1)
        assert here.notices() == []
        here.clock.advance(1)
        assert len(here.notices()) == 1
    here.clock.advance(10 * 86400)
    assert here.notices() == []
    assert len(here.inbox.messages) == 8


def test_a_resend_keeps_its_id_and_renews_time_and_signature(here: Stage) -> None:
    here.inbox.reply = Reply(500, "text/plain", b"")
    here.paid(intent_for(here.clock))
    here.clock.advance(RETRY_GAPS[0])
    here.notices()
    first, again = (here.provider.receive(message) for message in here.inbox.messages)
    assert first.message_id == again.message_id
    assert first.signed_at != again.signed_at
    assert first.facts[0].ref == again.facts[0].ref


@pytest.mark.parametrize(
    ("reply", "ends"),
    [
        (Reply(200, "text/plain", b"success"), True),
        (Reply(200, "text/plain", b"success\n"), False),
        (Reply(200, "text/plain", b'"success"'), False),
        (Reply(200, "text/html", b"<p>success</p>"), False),
        (Reply(204, "text/plain", b"success"), False),
        (Reply(302, "text/plain", b"success"), False),
        (Reply(0, "text/plain", b"ConnectionError"), False),
    ],
)
def test_only_seven_characters_end_the_retries(reply: Reply, ends: bool) -> None:
    assert accepted(reply) is ends


def test_the_plugins_own_replies_are_taken_as_meant(here: Stage) -> None:
    outcome = here.provider.receive(here.paid(intent_for(here.clock)))
    assert accepted(outcome.reply)
    assert not accepted(outcome.failure)
    with pytest.raises(Forged) as refusal:
        here.provider.receive(Message("notification", b"sign=x"))
    assert not accepted(refusal.value.reply)


def test_without_a_notify_url_there_is_no_notice(here: Stage) -> None:
    action = here.provider.start(intent_for(here.clock, notify_url="")).action
    here.alipay.pay(here.alipay.order_of(action))
    assert here.notices() == []


def test_a_refund_by_hand_is_told_to_the_payments_own_address(here: Stage) -> None:
    here.paid(intent_for(here.clock))
    here.alipay.refund_by_hand(OURS, 100)
    facts = here.provider.receive(here.notices()[0]).facts
    assert [(fact.kind, fact.ref.ours) for fact in facts] == [(Kind.PAID, OURS), (Kind.REFUNDED, OURS)]


def test_messages_are_lost_repeated_and_forged_on_demand(here: Stage, browser: FlaskClient) -> None:
    control(browser, "faults", lose=1)
    here.alipay.pay(here.alipay.order_of(here.provider.start(intent_for(here.clock)).action))
    assert here.notices() == []
    control(browser, "faults", repeat=49)
    here.alipay.pay(here.alipay.order_of(here.provider.start(intent_for(here.clock, number="2")).action))
    assert len(here.notices()) == 50
    control(browser, "faults", forge=1)
    forged = here.paid(intent_for(here.clock, number="3"))
    with pytest.raises(Forged):
        here.provider.receive(forged)
    assert here.provider.query(intent_for(here.clock, number="3").ref)[0].kind is Kind.PAID


# --- control


def test_a_test_can_drive_it_over_http(here: Stage, browser: FlaskClient) -> None:
    action = dict(here.provider.start(intent_for(here.clock)).action)
    assert control(browser, "open", action=action)["trade_status"] == "WAIT_BUYER_PAY"
    assert control(browser, "pay", action=action, amount="0.01")["total_amount"] == "0.01"
    assert control(browser, "deliver") == {"sent": 1, "waiting": 0}
    assert here.provider.receive(here.inbox.messages[0]).facts[0].money != intent_for(here.clock).money
    assert control(browser, "refund", out_trade_no=OURS, amount="0.01")["trade_status"] == "TRADE_CLOSED"
    (trade,) = browser.get("/_control/trades").get_json()["trades"]
    assert trade["refunded"] == "0.01"
    assert OURS in browser.get("/").text


def test_an_unpaid_trade_is_closed_or_a_paid_one_finished_over_http(here: Stage, browser: FlaskClient) -> None:
    here.opened(intent_for(here.clock))
    assert control(browser, "close", out_trade_no=OURS)["trade_status"] == "TRADE_CLOSED"
    here.paid(intent_for(here.clock, number="2"))
    assert control(browser, "finish", out_trade_no="2")["trade_status"] == "TRADE_FINISHED"
    assert [here.provider.receive(message).facts[0].kind for message in here.inbox.messages] == [Kind.CLOSED, Kind.PAID]


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("pay", None),
        ("pay", {}),
        ("pay", {"action": {"type": "cash"}}),
        ("pay", {"action": 1}),
        ("refund", {"out_trade_no": "1", "amount": "x"}),
        ("close", {"out_trade_no": "never"}),
        ("faults", {"gremlins": 1}),
        ("faults", {"lose": -1}),
    ],
)
def test_a_wrong_command_is_refused_in_words(browser: FlaskClient, command: str, body: Any) -> None:
    answer = browser.post(f"/_control/{command}", json=body)
    assert answer.status_code in (400, 409)
    assert answer.get_json()["error"]


def test_call_faults_leave_no_answer_after_or_before_the_deed(here: Stage) -> None:
    intent = intent_for(here.clock, "precreate")
    for fault, done in (("timeout_before", 0), ("error500", 0), ("timeout_after", 1), ("garbage", 1)):
        here.alipay.gateway.codes.clear()
        here.alipay.faults.set(**{fault: 1})
        with pytest.raises(Exception, match=r"HTTP status|unreadable"):
            here.provider.start(intent)
        assert len(here.alipay.gateway.codes) == done, fault


def test_keys_are_made_once_and_kept_readable_for_their_owner_only(tmp_path: Path) -> None:
    made = kept_keys(tmp_path / "keys")
    assert kept_keys(tmp_path / "keys") == made
    assert (tmp_path / "keys" / "app_private_key.pem").stat().st_mode & 0o077 == 0
    assert "PRIVATE" not in repr(made)


def test_two_simulators_do_not_share_trades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    clock = FixedClock()
    one, other = (
        simulated(create_simulator(SimulatorConfig(keys=key_mode(), base_url=BASE_URL, clock=clock.now, send=Inbox())))
        for _ in range(2)
    )
    action = stage(clock=clock).provider.start(intent_for(clock)).action
    one.pay(one.order_of(action))
    assert list(other.gateway.trades) == []


def test_it_works_over_real_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Served from a thread, with the client that the service uses, and its own deliveries."""
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    inbox = Inbox()
    app = create_simulator(SimulatorConfig(keys=key_mode(), send=inbox))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    stop = simulated(app).deliveries.start(every=0.01)
    try:
        base_url = f"http://127.0.0.1:{server.port}"
        simulated(app).gateway.base_url = base_url
        clock = SystemClock()
        tools = Tools(http=RequestsClient(), clock=clock, keys=MemoryKeys(), live=False)
        provider = build(key_mode().settings(f"{base_url}/gateway.do"), tools)
        expires = clock.now() + timedelta(minutes=5)
        action = provider.start(intent_for(FixedClock(clock.now()), "precreate", expires_at=expires)).action
        page = requests.get(action["code"], timeout=5).text
        requests.post(base_url + button(page, "Pay now"), timeout=5)
        assert [fact.kind for fact in provider.query(Ref(ours=OURS))] == [Kind.PAID]
        assert wait_for(lambda: bool(inbox.messages))
        assert provider.receive(inbox.messages[0]).facts[0].kind is Kind.PAID
    finally:
        stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether it became true within five seconds."""
    for _ in range(500):
        if condition():
            return True
        time.sleep(0.01)
    return False
