"""Callers who ask twice, at once, in the wrong moment, or for what is somebody else's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from app.domain.facts import Ending, Kind, Refusal
from app.services.agreements import agreement_requests
from app.services.agreements.signing_requests import AgreementNotInForce
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.web_client import ApiClient, build_client, token
from tests.support.world import World

FIRST_CHARGE = datetime(2026, 1, 2, 9, tzinfo=UTC)
SECOND_CHARGE = datetime(2026, 2, 2, 9, tzinfo=UTC)
SOME = 4


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


@pytest.fixture
def http(house: AgreementHouse, engine: Engine) -> FlaskClient:
    return build_client(house.world, engine)


def _wanted(**changes: Any) -> dict[str, Any]:
    return {"product": "vip", "provider_account": "debit", "way": "page", **changes}


def _at_once(http: FlaskClient, *asked: tuple[str, Any, str | None], user: str = "alice") -> list[Any]:
    """What several devices of one user are answered that ask at the same moment."""

    def ask(one: tuple[str, Any, str | None]) -> Any:
        path, body, key = one
        return ApiClient(http.application.test_client(), token(user)).post(path, body, key=key)

    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(ask, asked))


def _code(answer: Any) -> str:
    return str(answer.get_json()["code"])


@pytest.mark.parametrize("key", ["one", None], ids=["one key", "a key each"])
def test_signing_asked_for_from_several_devices_at_once_is_one_agreement(
    house: AgreementHouse, http: FlaskClient, alice: ApiClient, key: str | None
) -> None:
    answers = _at_once(http, *[("/v1/agreements", _wanted(), key)] * SOME)
    assert {answer.status_code for answer in answers} <= {201, 409}, "409: the first one with the key is under way"
    made = {answer.get_json()["number"] for answer in answers if answer.status_code == 201}
    assert len(made) == len(alice.get("/v1/agreements").get_json()["agreements"]) == len(house.debit.consents) == 1


def test_a_key_is_one_request(house: AgreementHouse, alice: ApiClient) -> None:
    first = alice.post("/v1/agreements", _wanted(), key="k").get_json()
    for other in (_wanted(product="basic"), _wanted(zone="Asia/Shanghai"), _wanted(pay_now=True)):
        assert _code(alice.post("/v1/agreements", other, key="k")) == "idempotency_key_reused"
    cancel = f"/v1/agreements/{first['number']}/cancel"
    assert _code(alice.post(cancel, {}, key="k")) == "idempotency_key_reused"
    ended = alice.post(cancel, {"at_once": True}, key="c")
    assert (ended.status_code, alice.post(cancel, {"at_once": True}, key="c").status_code) == (200, 200)
    assert _code(alice.post(cancel, {}, key="c")) == "idempotency_key_reused"
    assert alice.post("/v1/agreements", _wanted(), key="k").get_json()["number"] == first["number"]


def test_cancelled_from_several_devices_at_once_it_ends_once(
    house: AgreementHouse, http: FlaskClient, alice: ApiClient
) -> None:
    number = house.signed()
    house.at(FIRST_CHARGE)
    path = f"/v1/agreements/{number}/cancel"
    answers = _at_once(http, *[(path, {"at_once": n % 2 == 0}, None) for n in range(SOME)])
    codes = [answer.status_code for answer in answers]
    assert 200 in codes
    assert set(codes) <= {200, 409}
    house.work()
    assert (house.row(number).status, house.row(number).ended_by) == ("ended", "us")
    assert house.events().count("agreement.ended") == 1
    assert _code(alice.post(path, {})) == "agreement_not_in_force"
    assert set(house.active()) == {"vip"}, "what is paid stays"


def test_a_second_wish_to_end_it_makes_it_no_later(house: AgreementHouse, alice: ApiClient) -> None:
    number = house.signed()
    house.at(FIRST_CHARGE)
    house.debit.is_down = True
    path = f"/v1/agreements/{number}/cancel"
    at_once = alice.post(path, {"at_once": True}).get_json()
    assert alice.post(path, {}).get_json()["cancel_at"] == at_once["cancel_at"]
    house.debit.is_down = False
    house.later(hours=2)
    assert house.row(number).status == "ended"


def test_cancelled_while_a_charge_is_in_flight_it_ends_and_the_charge_is_heard(
    house: AgreementHouse, alice: ApiClient
) -> None:
    house.debit.script.append("pending")
    number = house.signed()
    house.at(FIRST_CHARGE)
    (payment,) = house.payments(number)
    shown = alice.post(f"/v1/agreements/{number}/cancel", {}).get_json()
    assert (shown["status"], shown["ended_by"]) == ("ended", "us"), "nothing is paid yet: so it ends at once"
    house.tell(house.debit.decide(str(payment.id), Kind.PAID))
    assert (house.world.coins(), set(house.active())) == (100, {"vip"})
    house.later(days=70)
    assert len(house.debit.trades) == 1


def test_a_refusal_of_a_charge_in_flight_does_not_revive_what_was_cancelled(
    house: AgreementHouse, alice: ApiClient
) -> None:
    number = house.signed()
    house.at(FIRST_CHARGE)
    house.debit.script.append("pending")
    house.at(SECOND_CHARGE)
    (payment,) = house.payments(number)
    house.debit.is_down = True
    alice.post(f"/v1/agreements/{number}/cancel", {"at_once": True})
    house.tell(house.debit.decide(str(payment.id), Kind.FAILED, Refusal.NOT_NOW))
    house.debit.is_down = False
    for _ in range(40):
        house.later(days=1)
    assert (house.row(number).status, house.row(number).ended_by) == ("ended", "us")
    assert len(house.debit.trades) == 2


def test_a_plan_is_changed_while_past_due_and_not_while_signing_or_when_it_is_to_end(
    house: AgreementHouse, alice: ApiClient
) -> None:
    signing = str(house.sign())
    path = f"/v1/agreements/{signing}/plan"
    assert _code(alice.post(path, {"product": "basic"})) == "agreement_not_in_force"
    house.tell(house.debit.user_signs(signing))
    house.debit.script.append("no_money")
    house.at(FIRST_CHARGE)
    changed = alice.post(path, {"product": "basic"}).get_json()
    assert (changed["status"], changed["product"], changed["next_product"]) == ("past_due", "vip", "basic")
    house.later(days=1)
    assert [trade.money.minor for trade in house.debit.trades.values()] == [1500], (
        "the period that was due is as it was"
    )
    house.at(SECOND_CHARGE)
    assert [trade.money.minor for trade in house.debit.trades.values()] == [1500, 900]
    alice.post(f"/v1/agreements/{signing}/cancel", {})
    assert _code(alice.post(path, {"product": "vip"})) == "agreement_not_in_force"


def test_a_change_of_plan_is_taken_back_though_the_old_one_is_dearer_by_now(
    house: AgreementHouse, alice: ApiClient
) -> None:
    number = house.signed()
    house.at(FIRST_CHARGE)
    path = f"/v1/agreements/{number}/plan"
    assert alice.post(path, {"product": "basic"}).get_json()["next_product"] == "basic"
    house.raise_price("vip", "20.00")
    kept = alice.post(path, {"product": "vip"}).get_json()
    assert (kept["product"], kept["next_product"], kept["amount_minor"]) == ("vip", None, 1500)


def test_an_agreement_that_is_ended_for_another_one_is_not_resumed(
    house: AgreementHouse, alice: ApiClient, backend: ApiClient
) -> None:
    """What ends it stays known, also where its user cancels it beside."""
    first, second = house.sign(key="one"), house.sign(key="two", zone="Asia/Tokyo")
    house.debit.is_down = True
    for number in (first, second):
        house.tell(house.debit.user_signs(str(number)))
    alice.post(f"/v1/agreements/{second}/cancel", {})
    refused = backend.post(f"/v1/agreements/{second}/resume", {})
    assert (_code(refused), refused.get_json()["agreement"]) == ("already_agreed", str(first))
    house.debit.is_down = False
    house.later(hours=2)
    assert house.row(second).status == "ended"
    house.debit.is_down = True
    made = alice.post("/v1/agreements", _wanted(product="gold", replaces=str(first))).get_json()
    house.tell(house.debit.user_signs(made["number"]))
    alice.post(f"/v1/agreements/{first}/cancel", {})
    refused = backend.post(f"/v1/agreements/{first}/resume", {})
    assert (_code(refused), refused.get_json()["agreement"]) == ("already_agreed", made["number"])
    house.debit.is_down = False
    for _ in range(3):
        house.later(hours=2)
    assert [house.row(number).status for number in (first, second)] == ["ended", "ended"]


def test_an_operator_charges_nothing_that_its_user_has_cancelled(house: AgreementHouse, alice: ApiClient) -> None:
    number = house.signed()
    house.at(FIRST_CHARGE)
    alice.post(f"/v1/agreements/{number}/cancel", {})
    with pytest.raises(AgreementNotInForce):
        agreement_requests.charge_at_once(house.core, number)
    house.at(SECOND_CHARGE)
    assert (house.row(number).status, house.row(number).ended_by, len(house.debit.trades)) == ("ended", "us", 1)


def test_strangers_learn_nothing_of_an_agreement(house: AgreementHouse, http: FlaskClient) -> None:
    number, mallory = house.signed(), ApiClient(http, token("mallory"))
    asks: list[tuple[str, dict[str, Any]]] = [("cancel", {"at_once": True}), ("plan", {"product": "basic"})]
    for path, body in asks:
        assert _code(mallory.post(f"/v1/agreements/{number}/{path}", body)) == "not_found"
    assert _code(mallory.post("/v1/agreements", _wanted(product="gold", replaces=str(number)))) == "not_found"
    for path in ("", "/periods"):
        assert _code(mallory.get(f"/v1/agreements/{number}{path}")) == "not_found"
    assert mallory.get("/v1/agreements").get_json()["agreements"] == []
    assert (house.row(number).status, house.row(number).cancel_at) == ("active", None)
    house.tell(house.debit.user_ends(str(number), Ending.PAYER))
    assert house.row(number).ended_by == "payer"
