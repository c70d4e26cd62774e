"""The simulated Alipay's agreements over HTTP: the page for signing and the control interface."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.providers import Declined, Ending, Kind, Refusal
from plugins.alipay.simulator import SimulatorConfig, create_simulator
from plugins.alipay.simulator_agreements import EXTENSION
from tests.plugins.alipay.actors import BASE_URL, Stage, stage
from tests.plugins.alipay.test_agreements import CYCLE, OURS, WEBHOOK, debits, terms_for
from tests.plugins.alipay.test_charges import charge, ref_of


@pytest.fixture
def here() -> Stage:
    made = stage(agreements=CYCLE)
    made.alipay.application_gateway = WEBHOOK
    return made


@pytest.fixture
def browser(here: Stage, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A second app in front of the simulated Alipay of the stage."""
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    app = create_simulator(SimulatorConfig(keys=here.keys, base_url=BASE_URL, clock=here.clock.now, send=here.inbox))
    app.extensions[EXTENSION] = here.alipay
    return app.test_client()


def post(browser: FlaskClient, name: str, **body: Any) -> dict[str, Any]:
    answer = browser.post(f"/_control/{name}", json=body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.get_json()
    return content


def test_a_payer_signs_in_the_browser_and_goes_back_to_the_shop(here: Stage, browser: FlaskClient) -> None:
    action = debits(here).sign(terms_for(here, "wap")).action
    page = browser.get(action["url"].removeprefix(BASE_URL))
    assert "up to ¥6.00 each 1 MONTH, from 2026-01-10" in page.text
    form = re.search(r'action="([^"]+)"', page.text)
    assert form is not None
    assert browser.post(form[1]).headers["location"] == "https://shop.example.com/back"
    assert browser.post(form[1]).status_code == 404
    assert [fact.kind for fact in debits(here).receive(here.notices()[0]).facts] == [Kind.SIGNED]


def test_the_control_interface_signs_refuses_waits_and_ends(here: Stage, browser: FlaskClient) -> None:
    terms = terms_for(here, first_due=date(2026, 1, 2))
    assert post(browser, "sign", action=dict(debits(here).sign(terms).action))["status"] == "NORMAL"
    post(browser, "deductions", refusals=["ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH"])
    with pytest.raises(Declined) as refusal:
        charge(here, "1")
    assert refusal.value.refusal is Refusal.NO_MONEY
    post(browser, "deductions", waits=True)
    assert [fact.kind for fact in charge(here, "2")] == [Kind.PENDING]
    assert post(browser, "confirm", out_trade_no="2", succeeded=True)["trade_status"] == "TRADE_SUCCESS"
    shown = browser.get("/_control/agreements").get_json()["agreements"]
    assert [(one["external_agreement_no"], one["next_deduct_time"]) for one in shown] == [(OURS, "2026-02-02")]
    here.alipay.gateway.agreements.find(OURS).planned = date(2026, 1, 2)
    assert [fact.kind for fact in charge(here, "3")] == [Kind.PENDING]
    assert post(browser, "confirm", out_trade_no="3", succeeded=False)["trade_status"] == "TRADE_CLOSED"
    post(browser, "validity", agreement=OURS, until="2026-01-02 11:04:05")
    assert debits(here).query(ref_of(here))[0].ending is Ending.TIME
    assert browser.post("/_control/unsign", json={"agreement": OURS}).status_code == 409
    assert browser.post("/_control/unsign", json={}).status_code == 400
