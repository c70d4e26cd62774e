"""Bills and differences over HTTP: for the backend alone, page by page or as CSV."""

from __future__ import annotations

import pytest

from tests.support.settling_house import alien_line, settling_house
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
