"""Agreements and entitlements over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from app.domain.facts import Ending, Fact, Kind, Ref
from app.services.accounts.users import ensure_user
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, token
from tests.support.world import World

FIRST_CHARGE = datetime(2026, 1, 2, 9, tzinfo=UTC)


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


@pytest.fixture
def http(house: AgreementHouse, engine: Engine) -> FlaskClient:
    return build_client(house.world, engine)


def _wanted(**changes: Any) -> dict[str, Any]:
    return {"product": "vip", "provider_account": "debit", "way": "page", **changes}


def test_a_user_signs_is_charged_reads_what_is_active_and_cancels(house: AgreementHouse, alice: ApiClient) -> None:
    made = alice.post("/v1/agreements", _wanted(zone="Asia/Shanghai"), key="k")
    assert made.status_code == 201
    agreement = made.get_json()
    number = agreement["number"]
    assert (agreement["status"], agreement["amount_minor"], agreement["zone"]) == ("signing", 1500, "Asia/Shanghai")
    assert agreement["action"] == {"type": "page", "url": f"https://sign.test/{number}"}
    assert alice.post("/v1/agreements", _wanted(zone="Asia/Shanghai"), key="k").get_json() == agreement
    house.tell(house.debit.user_signs(number))
    house.at(FIRST_CHARGE)
    shown = alice.get(f"/v1/agreements/{number}").get_json()
    assert (shown["status"], shown["action"], shown["ended_by"]) == ("active", None, "")
    assert alice.get("/v1/agreements").get_json() == {"agreements": [shown], "next": None, "missing_databases": []}
    (active,) = alice.get("/v1/entitlements").get_json()["entitlements"]
    assert (active["name"], active["agreement"], active["status"]) == ("vip", number, "active")
    (period,) = alice.get(f"/v1/agreements/{number}/periods").get_json()["periods"]
    assert (period["number"], period["status"]) == (0, "paid")
    order = alice.get(f"/v1/orders/{period['order']}").get_json()
    assert (order["status"], order["agreement"]) == ("paid", {"number": number, "period": 0})
    later = alice.post(f"/v1/agreements/{number}/cancel", {}).get_json()
    assert (later["status"], later["cancel_at"], later["next_charge_at"]) == ("active", shown["paid_until"], None)
    now = alice.post(f"/v1/agreements/{number}/cancel", {"at_once": True}).get_json()
    assert (now["status"], now["ended_by"]) == ("ended", "us")
    assert len(alice.get("/v1/entitlements").get_json()["entitlements"]) == 1, "what is paid stays active"
    again = alice.post(f"/v1/agreements/{number}/cancel", {})
    assert (again.status_code, again.get_json()["code"]) == (409, "agreement_not_in_force")


def test_the_backend_lists_the_agreements_of_all_users_page_by_page_and_by_what_it_looks_for(
    house: AgreementHouse, alice: ApiClient, backend: ApiClient
) -> None:
    numbers = [str(house.signed(user, sku)) for user, sku in (("alice", "vip"), ("bob", "basic"), ("carol", "vip"))]
    numbers.append(str(house.sign("dora", "basic")))
    newest_first = numbers[::-1]

    def listed(**query: str) -> list[str]:
        found: list[str] = []
        while True:
            page = backend.get("/v1/agreements", **query).get_json()
            found += [entry["number"] for entry in page["agreements"]]
            if page["next"] is None:
                return found
            query["cursor"] = page["next"]

    assert listed() == listed(limit="1") == listed(limit="3") == newest_first
    assert listed(status="active") == listed(status="active", limit="2") == newest_first[1:]
    assert listed(product="vip", limit="1") == [numbers[2], numbers[0]]
    assert listed(product="basic", status="signing") == [numbers[3]]
    assert (listed(provider_account="debit"), listed(provider_account="store")) == (newest_first, [])
    assert (listed(since="2026-01-03T00:00:00Z"), listed(until="2026-01-03T00:00:00Z")) == ([], newest_first)
    assert listed(user="bob") == listed(user="bob", status="active", product="basic") == [numbers[1]]
    assert listed(user="bob", status="ended") == []
    mine = alice.get("/v1/agreements", status="active").get_json()["agreements"]
    assert [entry["number"] for entry in mine] == [numbers[0]]
    assert alice.get("/v1/agreements", user="bob").get_json()["code"] == "forbidden"
    assert backend.get("/v1/agreements", status="gone").get_json()["code"] == "invalid_request"
    cursor = backend.get("/v1/agreements", limit="1").get_json()["next"]
    assert backend.get("/v1/agreements", user="alice", cursor=cursor).get_json()["code"] == "not_a_cursor"
    lines = backend.get("/v1/agreements", format="csv").text.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["number", *newest_first]


def test_an_order_of_a_stores_renewal_names_its_period_as_an_order_of_a_charge_does(
    house: AgreementHouse, alice: ApiClient, backend: ApiClient
) -> None:
    charged = house.signed()
    house.at(FIRST_CHARGE)
    token_of_alice = house.core.whole.transact(lambda tx: str(ensure_user(tx, "alice").token))
    told: dict[str, Any] = {"owner": token_of_alice, "product": "vip.monthly", "account": "store-app", "live": False}
    for n, month in enumerate((1, 2)):
        begins, ends = datetime(2026, month, 2, 9, tzinfo=UTC), datetime(2026, month + 1, 2, 9, tzinfo=UTC)
        names = Ref(theirs=f"s{n}", agreement="sub-1")
        house.tell(Fact(Kind.PAID, names, begins, quantity=1, period_end=ends, **told), "store")
    (renewed,) = alice.get("/v1/agreements", provider_account="store").get_json()["agreements"]
    newest, first, ours = backend.get("/v1/orders", user="alice").get_json()["orders"]
    assert [order["agreement"] for order in (newest, first, ours)] == [
        {"number": renewed["number"], "period": 1},
        {"number": renewed["number"], "period": 0},
        {"number": str(charged), "period": 0},
    ]
    assert backend.get(f"/v1/orders/{newest['number']}").get_json() == newest
    assert backend.get("/v1/orders").get_json()["orders"] == [newest, first, ours]
    lines = backend.get("/v1/orders", format="csv").text.splitlines()
    assert [line.rsplit(",", 2)[1:] for line in lines[1:]] == [
        [renewed["number"], "1"],
        [renewed["number"], "0"],
        [str(charged), "0"],
    ]


def test_what_cannot_be_agreed_is_refused(house: AgreementHouse, alice: ApiClient, backend: ApiClient) -> None:
    cases = {
        "unknown_product": _wanted(product="nothing"),
        "not_a_plan": _wanted(product="coins-60"),
        "unknown_provider_account": _wanted(provider_account="nobody"),
        "unknown_way": _wanted(way="fax"),
        "no_price": _wanted(currency="JPY"),
        "extra_not_accepted": _wanted(extra={"x": 1}),
        "invalid_request": _wanted(zone="Mars/Base"),
        "cannot_pay_now": _wanted(product="trial", pay_now=True),
    }
    for code, body in cases.items():
        assert alice.post("/v1/agreements", body).get_json()["code"] == code
    order = {"product": "vip", "provider_account": "sandbox", "way": "page", "quantity": 1}
    assert alice.post("/v1/orders", order).get_json()["code"] == "needs_agreement"
    assert alice.post("/v1/agreements", _wanted(user="bob")).get_json()["code"] == "forbidden"
    assert backend.post("/v1/agreements", _wanted()).get_json()["code"] == "user_missing"
    house.signed("alice")
    assert alice.post("/v1/agreements", _wanted()).get_json()["code"] == "already_agreed"
    for n in range(10):
        zone = {"zone": f"Etc/GMT+{n}"}
        assert alice.post("/v1/agreements", _wanted(product="basic", **zone), key=f"many-{n}").status_code == 201
    once_more = alice.post("/v1/agreements", _wanted(product="basic", zone="Etc/GMT+1"), key="twice")
    assert once_more.status_code == 201, "the same terms wait to be signed: that agreement is given again"
    assert alice.post("/v1/agreements", _wanted(product="basic")).get_json()["code"] == "too_many_signings"


def test_only_the_owner_and_the_backend_see_and_change_an_agreement(
    house: AgreementHouse, http: FlaskClient, alice: ApiClient, backend: ApiClient
) -> None:
    number = house.signed()
    bob = ApiClient(http, token("bob"))
    for path in (f"/v1/agreements/{number}", f"/v1/agreements/{number}/periods"):
        assert (alice.get(path).status_code, backend.get(path).status_code) == (200, 200)
        assert bob.get(path).get_json()["code"] == "not_found"
    for path, body in (("cancel", {}), ("plan", {"product": "basic"})):
        assert bob.post(f"/v1/agreements/{number}/{path}", body).get_json()["code"] == "not_found"
    assert alice.post(f"/v1/agreements/{number}/pause", {}).get_json()["code"] == "forbidden"
    assert bob.get("/v1/entitlements").get_json() == {"entitlements": []}
    assert backend.get("/v1/entitlements", user="alice").status_code == 200
    assert backend.get("/v1/agreements/77").get_json()["code"] == "not_found"


def test_the_backend_pauses_and_resumes_and_a_period_without_money_begins_anew(
    house: AgreementHouse, backend: ApiClient
) -> None:
    number = house.signed()
    house.at(FIRST_CHARGE)
    assert backend.post(f"/v1/agreements/{number}/pause", {}).get_json()["status"] == "paused"
    house.later(days=80)
    assert len(house.debit.trades) == 1
    resumed = backend.post(f"/v1/agreements/{number}/resume", {}).get_json()
    assert resumed["status"] == "active"
    house.later(days=1)
    assert len(house.debit.trades) == 2
    assert [period.status for period in house.periods(number)] == ["paid", "paid"]


def test_a_cheaper_plan_takes_effect_with_the_next_period_and_a_dearer_one_needs_signing(
    house: AgreementHouse, alice: ApiClient
) -> None:
    number = house.signed()
    house.at(FIRST_CHARGE)
    path = f"/v1/agreements/{number}/plan"
    assert alice.post(path, {"product": "gold"}).get_json()["code"] == "needs_signing"
    assert alice.post(path, {"product": "trial"}).get_json()["code"] == "needs_signing", "another length"
    chosen = alice.post(path, {"product": "basic"}).get_json()
    assert (chosen["product"], chosen["next_product"]) == ("vip", "basic")
    house.at(datetime(2026, 2, 2, 9, tzinfo=UTC))
    assert [trade.money.minor for trade in house.debit.trades.values()] == [1500, 900]
    shown = alice.get(f"/v1/agreements/{number}").get_json()
    assert (shown["product"], shown["next_product"], shown["amount_minor"]) == ("basic", None, 900)
    assert set(house.active()) == {"basic"}
    assert "agreement.plan_changed" in house.events()


def test_a_cancelled_signing_is_ended_if_it_is_signed_all_the_same(house: AgreementHouse, alice: ApiClient) -> None:
    number = house.sign()
    alice.post(f"/v1/agreements/{number}/cancel", {"at_once": True})
    house.tell(house.debit.user_signs(str(number)))
    house.later(hours=8)
    assert (house.row(number).status, house.row(number).ended_by) == ("ended", "us")
    assert len(house.debit.trades) == 0


def test_a_provider_that_is_away_ends_an_agreement_once_it_answers(house: AgreementHouse, alice: ApiClient) -> None:
    number = house.signed()
    house.debit.is_down = True
    shown = alice.post(f"/v1/agreements/{number}/cancel", {"at_once": True}).get_json()
    assert (shown["status"], shown["next_charge_at"]) == ("active", None)
    house.debit.is_down = False
    house.later(hours=2)
    assert house.row(number).status == "ended"
    assert house.debit.consents[str(number)].ending is Ending.US


def test_products_and_providers_show_plans_and_ways_of_signing(house: AgreementHouse, alice: ApiClient) -> None:
    products = {each["sku"]: each for each in alice.get("/v1/products").get_json()["products"]}
    assert products["vip"]["plan"] == {"unit": "month", "count": 1, "first_prices": {}, "grace_days": 1}
    assert (products["trial"]["plan"]["first_prices"], products["coins-60"]["plan"]) == ({"CNY": 0}, None)
    assert products["gold"]["entitlements"] == ["vip", "gold"]
    providers = {each["name"]: each for each in alice.get("/v1/providers").get_json()["providers"]}
    assert [way["way"] for way in providers["debit"]["agreement_ways"]] == ["page"]
    assert BACKEND_KEY not in str(providers)


def test_a_backend_finds_an_agreement_and_reads_what_happened_to_it(
    house: AgreementHouse, alice: ApiClient, backend: ApiClient
) -> None:
    number = house.signed()
    house.at(FIRST_CHARGE)
    (found,) = backend.get("/v1/search", number=f"agr-{number}").get_json()["found"]
    assert (found["kind"], found["number"], found["user"]) == ("agreement", str(number), "alice")
    assert backend.get(found["link"]).get_json()["number"] == str(number)
    entries = backend.get(found["timeline"]).get_json()["entries"]
    assert entries[0]["text"] == f"agreement {number} with debit was made: vip 15.00 CNY"
    assert "charge" in [entry["what"] for entry in entries]
    assert alice.get(found["timeline"]).get_json()["code"] == "forbidden"
    assert backend.get("/v1/agreements/77/timeline").get_json()["code"] == "not_found"
    assert backend.get("/v1/agreements/x/timeline").get_json()["code"] == "not_found"


def test_a_dearer_plan_is_signed_in_the_place_of_the_one_in_force(
    house: AgreementHouse, alice: ApiClient, backend: ApiClient
) -> None:
    vip = str(house.signed())
    house.at(FIRST_CHARGE)
    made = alice.post("/v1/agreements", _wanted(product="gold", replaces=vip), key="up").get_json()
    assert (made["status"], made["replaces"]) == ("signing", vip)
    assert alice.post("/v1/agreements", _wanted(product="gold", replaces=vip), key="up").get_json() == made
    assert (
        alice.post("/v1/agreements", _wanted(product="gold"), key="up").get_json()["code"] == "idempotency_key_reused"
    )
    house.tell(house.debit.user_signs(made["number"]))
    house.work()
    assert backend.get(f"/v1/agreements/{vip}").get_json()["status"] == "ended"
    gold = backend.get(f"/v1/agreements/{made['number']}").get_json()
    assert (gold["status"], gold["next_charge_at"][:10]) == ("active", "2026-02-02")
    again = alice.post("/v1/agreements", _wanted(product="basic", replaces=vip))
    assert again.get_json()["code"] == "agreement_not_in_force"
    stranger = backend.post("/v1/agreements", _wanted(product="vip", replaces=made["number"], user="bob"))
    assert stranger.get_json()["code"] == "not_found"
