"""Bills and differences over HTTP: for the backend alone, page by page or as CSV."""

from __future__ import annotations

import pytest

from tests.support.facts import paid_fact
from tests.support.settling_house import NOON, alien_line, line_of, settling_house
from tests.support.web_client import ApiClient
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_bills_and_differences_are_listed_and_one_is_shown_with_its_history(
    world: World, backend: ApiClient, alice: ApiClient
) -> None:
    house = settling_house(world)
    house.bring("2026-01-02", [alien_line("T-1", "shop-1"), alien_line("T-2", "1234567890123456789")])
    house.compare()
    [bill] = backend.get("/v1/bills", account="sandbox").get_json()["bills"]
    assert (bill["name"], bill["status"], bill["side"], bill["lines"]) == ("2026-01-02", "read", "trades", 2)
    assert backend.get("/v1/bills", format="csv").text.splitlines()[1].startswith("sandbox,trade,2026-01-02")
    first = backend.get("/v1/differences", limit=1).get_json()
    second = backend.get("/v1/differences", limit=1, cursor=first["next"]).get_json()
    assert second["next"] is None
    assert {one["differences"][0]["type"] for one in (first, second)} == {"not_ours", "theirs_not_ours"}
    [only] = backend.get("/v1/differences", type="not_ours", state="open").get_json()["differences"]
    assert (only["theirs"], only["theirs_minor"], only["ours_minor"]) == ("T-1", 600, None)
    assert backend.get("/v1/differences", account="another").get_json()["differences"] == []
    shown = backend.get(f"/v1/differences/{only['number']}").get_json()
    assert ([change["what"] for change in shown["history"]], shown["repairs"]) == (["opened"], [])
    assert len(backend.get("/v1/differences", format="csv").text.splitlines()) == 3
    assert backend.get("/v1/differences/12").status_code == 404
    assert backend.get("/v1/differences", state="lost").status_code == 422
    assert [alice.get(path).status_code for path in ("/v1/bills", "/v1/differences")] == [403, 403]


def test_a_named_person_matches_two_differences_ends_one_and_takes_it_back(world: World, backend: ApiClient) -> None:
    house = settling_house(world)
    paid = house.paid("a")
    house.bring("2026-01-02", [alien_line("T-1", "1234567890123456789"), alien_line("T-2", "shop-2")])
    world.clock.advance(30 * 86_400)
    house.compare()
    rows = {row["type"]: row for row in backend.get("/v1/differences").get_json()["differences"]}
    ours, theirs, alien = (rows[kind]["number"] for kind in ("ours_not_theirs", "theirs_not_ours", "not_ours"))
    assert backend.get(f"/v1/differences/{ours}").get_json()["perhaps_the_other_side"] == [theirs]
    path, body = f"/v1/differences/{ours}/match", {"other": theirs, "reason": "same sum"}
    assert backend.post(path, body).get_json()["code"] == "actor_missing"
    backend.headers["Tillbook-Actor"] = "mei"
    refused = backend.post(path, {**body, "other": alien})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "difference_refused")
    assert backend.post(path, {**body, "other": "12"}).status_code == 404
    for _ in range(2):
        matched = backend.post(path, body).get_json()["differences"]
        assert [(row["state"], row["matched_with"]) for row in matched] == [("matched", theirs), ("matched", ours)]
    shown = backend.get(f"/v1/differences/{ours}").get_json()
    assert [(each["what"], each["actor"]) for each in shown["history"]][1:] == [("matched", "backend:backend/mei")]
    assert (shown["ours"], shown["perhaps_the_other_side"]) == (paid.ref.ours, [])
    ended = backend.post(f"/v1/differences/{alien}/resolve", {"reason": "the other till"}).get_json()
    assert (ended["state"], ended["note"]) == ("resolved", "the other till")
    assert backend.post(f"/v1/differences/{alien}/resolve", {"reason": "again"}).status_code == 409
    assert backend.post(f"/v1/differences/{theirs}/reopen", {"reason": "wrong one"}).get_json()["state"] == "open"
    assert backend.get(f"/v1/differences/{ours}").get_json()["state"] == "open"


def test_a_named_person_sees_a_repair_takes_it_and_carries_it_out(world: World, backend: ApiClient) -> None:
    house = settling_house(world)
    fact = paid_fact(world, house.ordered("alice"), at=NOON)
    house.bring("2026-01-02", [line_of(fact)])
    house.compare()
    [lost] = backend.get("/v1/differences").get_json()["differences"]
    path = f"/v1/differences/{lost['number']}"
    assert lost["type"] == "status"
    plan = backend.get(f"{path}/repair", by="apply").get_json()
    assert (plan["by"], plan["would"].startswith("apply that paid 6.00 CNY is told of ")) == ("apply", True)
    assert backend.get(f"{path}/repair").get_json()["by"] == "ask"
    refused = backend.get(f"{path}/repair", by="refund")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "difference_refused")
    body = {"by": "apply", "reason": "the notice was lost"}
    assert backend.post(f"{path}/repair", body).get_json()["code"] == "actor_missing"
    assert world.coins() == 0, "nothing was done so far"
    backend.headers["Tillbook-Actor"] = "mei"
    assert backend.post(f"{path}/take", {}).get_json()["owner"].endswith("/mei")
    assert backend.post(f"{path}/take", {"owner": "li"}).get_json()["owner"] == "li"
    assert backend.post(f"{path}/note", {"note": "asked the provider"}).get_json()["note"] == "asked the provider"
    assert backend.post(f"{path}/repair", body).get_json()["state"] == "gone"
    assert world.coins() > 0
    again = backend.post(f"{path}/repair", body)
    assert (again.status_code, again.get_json()["code"]) == (409, "difference_refused")
    history = [each["what"] for each in backend.get(path).get_json()["history"]]
    assert history == ["opened", "taken", "taken", "noted", "repair_apply", "gone"]
    world.assert_balanced()


def test_two_named_persons_write_a_difference_off(world: World, backend: ApiClient) -> None:
    house = settling_house(world)
    house.bring("2026-01-02", [line_of(house.paid("alice"), amount_minor=450)])
    house.compare()
    [row] = backend.get("/v1/differences").get_json()["differences"]
    path = f"/v1/differences/{row['number']}/write-off"
    backend.headers["Tillbook-Actor"] = "mei"
    proposed = backend.post(path, {"reason": "too small"}).get_json()
    entry = {"amount_minor": 150, "currency": "CNY", "debit": "writeoff", "credit": "clearing:sandbox"}
    assert (proposed["state"], proposed["entries"]) == ("in_work", [entry])
    assert world.money("writeoff") == 0
    refused = backend.post(f"{path}/confirm", {})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "difference_refused")
    backend.headers["Tillbook-Actor"] = "li"
    assert backend.post(f"{path}/confirm", {}).get_json()["state"] == "written_off"
    assert world.money("writeoff") == -150
    world.assert_balanced()
