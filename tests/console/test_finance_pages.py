"""What finance finds in the console."""

from __future__ import annotations

from tests.console.browser import Browser
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


def test_the_trial_balance_is_the_one_of_the_reports(world: World, mei: Browser) -> None:
    view = world.order()
    world.pay(view.payments[0].id)
    world.deliver()
    page = mei.get("/console/trial-balance")
    assert "balanced" in page.text
    assert "clearing:sandbox house 6.00 0.00 -6.00" in page.text
    assert "wallet all users 0 66 66" in page.text
    before = mei.get("/console/trial-balance", at="2025-12-31")
    assert "clearing" not in before.text
    assert mei.get("/console/trial-balance", at="2026-02-30").status == 409
