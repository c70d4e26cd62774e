"""Journal entries and closings over HTTP: two named persons, a scope of their own, and reports by day."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.services.finance import recognition
from app.services.ledger import checkpoints
from tests.support.web_client import BACKEND_KEY, ApiClient
from tests.support.world import World

ENTRY: dict[str, Any] = {
    "document": "2026-01-17",
    "reason": "found its owner",
    "currency": "CNY",
    "environment": "sandbox",
    "lines": [
        {"account": "suspense", "debit_minor": 600, "credit_minor": 0},
        {"account": "bank:sandbox", "debit_minor": 0, "credit_minor": 600},
    ],
}


def _person(http: FlaskClient, name: str) -> ApiClient:
    client = ApiClient(http, BACKEND_KEY)
    client.headers["Tillbook-Actor"] = name
    return client


@pytest.fixture
def mei(http: FlaskClient) -> ApiClient:
    return _person(http, "mei")


@pytest.fixture
def li(http: FlaskClient) -> ApiClient:
    return _person(http, "li")


def test_one_person_proposes_an_entry_and_another_one_posts_it(
    world: World, backend: ApiClient, alice: ApiClient, mei: ApiClient, li: ApiClient
) -> None:
    made = mei.post("/v1/journal-entries", ENTRY)
    assert made.status_code == 201
    entry = made.get_json()
    assert (entry["status"], entry["total_minor"], entry["proposed_by"]) == ("proposed", 600, "backend:backend/mei")
    path = f"/v1/journal-entries/{entry['number']}"
    assert mei.post(f"{path}/confirm", {}).get_json()["code"] == "needs_another_person"
    assert backend.post(f"{path}/confirm", {}).get_json()["code"] == "actor_missing"
    assert alice.post(f"{path}/confirm", {}).status_code == 403
    assert li.post(f"{path}/confirm", {}).get_json()["status"] == "posted"
    assert li.post(f"{path}/withdraw", {}).get_json()["code"] == "entry_ended"
    back = li.post(f"{path}/reverse", {"document": "D-2", "reason": "wrong bank"}).get_json()
    assert (back["reverses"], back["status"]) == (entry["number"], "proposed")
    assert mei.post(f"/v1/journal-entries/{back['number']}/withdraw", {}).get_json()["status"] == "withdrawn"
    assert mei.get(path).get_json()["ended_by"] == "backend:backend/li"
    listed = backend.get("/v1/journal-entries", status="posted").get_json()["entries"]
    assert [each["number"] for each in listed] == [entry["number"]]
    table = backend.get("/v1/journal-entries", format="csv").get_data(as_text=True).splitlines()
    assert "suspense 6.00 Dr; bank:sandbox 6.00 Cr" in table[2]
    assert world.money("suspense") == -600
    world.assert_balanced()


def test_what_is_no_entry_is_refused(mei: ApiClient, world: World) -> None:
    lines = [{"account": "sales", "debit_minor": 600}, {"account": "suspense", "credit_minor": 600}]
    refused = mei.post("/v1/journal-entries", {**ENTRY, "lines": lines})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "entry_refused")
    late = (world.clock.now() + timedelta(days=1)).isoformat()
    assert mei.post("/v1/journal-entries", {**ENTRY, "effective_at": late}).status_code == 409
    assert mei.post("/v1/journal-entries/5/confirm", {}).status_code == 404
    assert mei.get("/v1/journal-entries/x").status_code == 404


def test_a_month_is_closed_by_two_persons_and_reports_of_days_follow_the_zone(
    world: World, backend: ApiClient, mei: ApiClient, li: ApiClient
) -> None:
    payment = world.order().payments[0]
    world.pay(payment.id)
    world.deliver()
    assert mei.post("/v1/closings", {"month": "2026-01"}).get_json()["code"] == "not_closable"
    world.clock.advance(timedelta(days=32).total_seconds())
    while checkpoints.write_next(world.core.whole.sessions, now=world.clock.now()):
        pass
    while recognition.recognise_next(world.core):
        pass
    assert mei.post("/v1/closings", {"month": "2026-01"}).get_json()["status"] == "proposed"
    assert mei.post("/v1/closings/2026-01/confirm", {}).get_json()["code"] == "not_closable"
    assert li.post("/v1/closings/2026-01/confirm", {}).get_json()["status"] == "closed"
    (closed,) = backend.get("/v1/closings").get_json()["closings"]
    assert (closed["month"], closed["confirmed_by"]) == ("2026-01", "backend:backend/li")
    assert len(closed["sha256"]) == len(hashlib.sha256().hexdigest())
    path = "/v1/ledger/trial-balance"
    on = {day: len(backend.get(path, at=day).get_json()["sheets"]) for day in ("2026-01-01", "2026-01-02")}
    assert on == {"2026-01-01": 0, "2026-01-02": 2}
    moved = [len(backend.get(path, since=day).get_json()["sheets"]) for day in ("2026-01-02", "2026-01-03")]
    assert moved == [2, 0]
    assert backend.get(path, since="2026-03-01", at="2026-02-01").get_json()["code"] == "empty_time_span"
    assert backend.get(path, at="2026-02-30").get_json()["code"] == "no_such_day"
