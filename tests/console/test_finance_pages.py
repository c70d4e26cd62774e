"""What finance finds in the console."""

from __future__ import annotations

from app.services.reports.catalogue import REPORTS, Times
from app.web.lists import MOST_DOWNLOADS, download_permit
from tests.support.console_browser import Browser
from tests.support.settling_house import alien_line, settling_house
from tests.support.world import World


def test_differences_are_listed_and_one_says_what_can_be_done(world: World, mei: Browser) -> None:
    house = settling_house(world)
    house.paid("a")
    house.bring("2026-01-02", [alien_line("T-1", "1234567890123456789"), alien_line("T-2", "shop-2")])
    world.clock.advance(20 * 60)
    house.compare()
    listed = mei.get("/console/differences", type="theirs_not_ours")
    (number,) = (words for words, address in listed.links.items() if address.startswith("/console/differences/"))
    shown = mei.get(f"/console/differences/{number}")
    assert shown.text.startswith(f"Difference {number}")
    assert "Their amount 6.00 CNY Our number 1234567890123456789 Their number T-1" in shown.text
    assert f"tillbook differences repair {number} --by ask" in shown.text
    assert "opened" in shown.text
    assert mei.get("/console/differences", state="lost").status == 422
    assert "None." in mei.get("/console/differences", state="written_off").text
    assert "Differences between books and bills" in mei.get("/console/").text


def test_every_report_has_a_page_with_its_first_rows_and_its_files(world: World, mei: Browser) -> None:
    view = world.order()
    world.pay(view.payments[0].id)
    world.deliver()
    world.clock.advance(25 * 60)
    listed = mei.get("/console/reports")
    assert [listed.links[name] for name in REPORTS] == [f"/console/reports/{name}" for name in REPORTS]
    for name, kind in REPORTS.items():
        if kind.of_unspent_coins:  # the worker has not been there
            behind = mei.get(f"/console/reports/{name}", since="2026-01-01", until="2026-01-01")
            assert (behind.status, "The worker has not worked out these days yet" in behind.text) == (409, True)
            continue
        times = {Times.PERIOD: {"since": "2026-01-01", "until": "2026-01-31"}, Times.DAY: {"at": "2026-01-02"}}
        page = mei.get(f"/console/reports/{name}", **times.get(kind.times, {}))
        assert (page.status, kind.about in page.text) == (200, True), name
        csv, workbook = mei.client.get(page.links["CSV"]), mei.client.get(page.links["XLSX"])
        assert csv.content_type == "text/csv; charset=utf-8"
        assert csv.text.partition("\r\n")[0].replace(",", " ") in page.text or "None." in page.text
        assert workbook.data.startswith(b"PK")


def test_a_report_shows_what_the_books_say(world: World, mei: Browser) -> None:
    view = world.order()
    world.pay(view.payments[0].id)
    world.deliver()
    empty = mei.get("/console/reports/sales")
    assert "CSV" not in empty.links
    page = mei.get("/console/reports/sales", since="2026-01-01", until="2026-01-31", by="booking")
    assert "sandbox coins-60 sandbox" in page.text
    assert "6.00" in page.text
    balance = mei.get("/console/reports/trial-balance")
    assert "clearing:sandbox" in balance.text
    assert mei.get("/console/reports/trial-balance", at="2026-02-30").status == 409
    assert mei.get("/console/reports/trial-balance", at="soon").status == 422
    assert mei.get("/console/reports/sales", since="2026-01-01").status == 409
    assert mei.get("/console/reports/sales", since="2025-01-01", until="2026-01-31").status == 422
    assert mei.get("/console/reports/secrets").status == 404


def test_pages_of_reports_take_the_places_of_files_so_that_others_have_threads(mei: Browser) -> None:
    permits = [download_permit() for _ in range(MOST_DOWNLOADS)]
    try:
        refused = mei.get("/console/reports/trial-balance")
    finally:
        for permit in permits:
            permit.give_back()
    assert refused.status == 503
    assert "as many reports and files as it may" in refused.text
    for _ in range(MOST_DOWNLOADS + 1):
        assert mei.get("/console/reports/trial-balance").status == 200
    assert mei.get("/console/reports/trial-balance", account="nowhere").status == 409
    asked = mei.get("/console/reports/sales")
    assert 'name="since" value="" required' in asked.html
    assert "required" not in mei.get("/console/reports/trial-balance").html.partition("<main>")[2]
