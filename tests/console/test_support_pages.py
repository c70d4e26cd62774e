"""What somebody who helps users finds in the console."""

from __future__ import annotations

import pytest

from app.domain.money import Money
from app.providers.facts import Fact, Kind, Ref
from tests.support.agreement_house import agreement_house
from tests.support.console_browser import Browser, make_operator
from tests.support.facts import told
from tests.support.world import World


@pytest.fixture
def bought(world: World) -> tuple[int, int]:
    """The numbers of an order that alice has paid, and of its payment."""
    view = world.order()
    world.pay(view.payments[0].id)
    world.deliver()
    return view.order.id, view.payments[0].id


def test_each_number_leads_to_the_order_and_what_happened_to_it(
    world: World, mei: Browser, bought: tuple[int, int]
) -> None:
    order, payment = bought
    for number in (order, payment, world.at_provider(payment).number):
        page = mei.get("/console/search", number=f" {number} ")
        assert page.path == f"/console/orders/{order}"
    assert "User alice Status paid Product coins-60" in page.text
    assert "Quantity 1 Amount 6.00 CNY Grants 60 coin, 6 bonus coin 30d" in page.text
    assert f"payment {payment} was made: sandbox, page" in page.text
    assert "booked: purchase 60 coin (issuance to wallet)" in page.text
    assert page.links["alice"] == "/console/users?user=alice"
    mei.headers["Accept-Language"] = "zh"
    chinese = mei.get(f"/console/orders/{order}").text
    assert "入账：purchase 60 coin (issuance to wallet)" in chinese
    assert f"关于支付 {payment}" in chinese


def test_a_user_has_wallets_lists_and_a_statement_with_who_did_what(
    world: World, mei: Browser, bought: tuple[int, int]
) -> None:
    page = mei.get("/console/search", number="alice")
    assert page.path == "/console/users"
    assert "coin sandbox 66 0 66 no" in page.text
    assert page.links[str(bought[0])] == f"/console/orders/{bought[0]}"
    shown = mei.get(page.links["coin"])
    assert "Wallet alice : coin (sandbox)" in shown.text
    order = bought[0]
    assert f"1 paid 60 60 coins-60 6.00 CNY {order} purchase 2026-01-02 03:04:05" in shown.text
    assert f"2 bonus 6 6 2026-02-01 03:04:05 coins-60 {order} bonus 2026-01-02 03:04:05" in shown.text
    assert f"2 2026-01-02 03:04:05 bonus 6 66 {order}" in shown.text
    assert mei.get("/console/wallets", user="alice", asset="9", environment="live").status == 404


def test_lists_go_on_page_by_page(world: World, visitor: Browser) -> None:
    for number in range(53):
        world.order(key=f"k{number}", user="user-0")
        world.clock.advance(3600)
    mei = visitor
    mei.sign_in(make_operator(world.core), world.core)
    first = mei.get("/console/users/orders", user="user-0")
    second = mei.get(first.links["Next page"])
    assert len({*first.links, *second.links} - {"Tillbook", "Differences", "Reports", "user-0", "Next page"}) == 53
    assert "Next page" not in second.links
    assert mei.get("/console/users/orders", user="user-0", cursor="x").status == 404
    assert mei.get("/console/users/secrets", user="user-0").status == 404
    assert "Next page" in mei.get("/console/users", user="user-0").links


def test_an_agreement_has_its_periods_and_its_timeline(world: World, mei: Browser) -> None:
    house = agreement_house(world)
    number = house.signed()
    page = mei.get("/console/search", number=number)
    assert page.path == f"/console/agreements/{number}"
    assert "Status active Product vip" in page.text
    assert f"agreement {number} with debit was made" in page.text
    assert "Agreements" in mei.get("/console/users", user="alice").text
    assert mei.get("/console/users", user="alice").links[str(number)] == page.path


def test_what_names_nothing_says_so(mei: Browser) -> None:
    assert "Nothing here has this number." in mei.get("/console/search", number="12").text
    assert "Nothing here has this number." not in mei.get("/console/search", number="").text
    for path in ("/console/orders/12", "/console/orders/x", "/console/agreements/12"):
        missing = mei.get(path)
        assert missing.status == 404
        assert "There is no such thing." in missing.text
        assert missing.answer.content_type == "text/html; charset=utf-8"


def test_what_waits_says_what_it_means_and_which_command_deals_with_it(world: World, mei: Browser) -> None:
    ref = Ref(ours="132680284898353327", theirs="T-lost")
    told(world, Fact(Kind.PAID, ref, world.clock.now(), Money(600, "CNY"), account="m-1", live=False))
    page = mei.get("/console/")
    assert "Facts that match nothing" in page.text
    assert "sandbox paid 6.00 CNY unknown_number looked at again for 30 days" in page.text
    assert "tillbook facts assign NUMBER" in page.text


def test_words_of_others_are_shown_as_words(world: World, mei: Browser) -> None:
    user = "<script>alert(1)</script>"
    world.order(user=user)
    page = mei.get("/console/users", user=user)
    assert page.status == 200
    assert "<script>" not in page.html
    assert user in page.text
    assert page.answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")


def test_support_sees_users_and_no_finance(world: World, visitor: Browser, bought: tuple[int, int]) -> None:
    visitor.sign_in(make_operator(world.core, "li", "support"), world.core, "li")
    start = visitor.get("/console/")
    assert "Reports" not in start.text
    assert visitor.get(f"/console/orders/{bought[0]}").status == 200
    for path in ("/console/differences", "/console/differences/12", "/console/reports", "/console/reports/sales"):
        refused = visitor.get(path)
        assert refused.status == 403
        assert "Your role does not see this page." in refused.text
