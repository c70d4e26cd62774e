"""What somebody types into the address of a page: never a defect, always a page."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, text

from app.domain.numbers import slot_of_user
from tests.support import databases
from tests.support.console_browser import SECRET, Browser, make_operator
from tests.support.two_databases import HALF, two_databases
from tests.support.web_client import build_client
from tests.support.world import World

STRANGE = (
    *("", " ", "\x00", "a\x00b", "'", "%", "x" * 300, "９", "-1", "0", str(2**63), "9" * 40, "ä/ö?#"),
    "\ud800".encode("utf-8", "surrogatepass"),
)
QUERIES = (
    *(("/console/search", "number"), ("/console/users", "user"), ("/console/users/orders", "user")),
    *(("/console/users/orders?user=alice", "cursor"), ("/console/wallets?user=alice", "asset")),
    *(("/console/wallets?user=alice&asset=coin", "environment"), ("/console/wallets?user=alice&asset=coin", "list")),
    *(("/console/wallets?user=alice&asset=coin&list=lots", "cursor"), ("/console/differences", "account")),
    *(("/console/differences", "state"), ("/console/differences", "type"), ("/console/differences", "cursor")),
    *(("/console/reports/sales?until=2026-01-31", "since"), ("/console/reports/clearing", "at")),
    *(("/console/reports/fees?since=2026-01-01&until=2026-01-02", "account"), ("/console/reports/chart", "format")),
    *(("/console/reports/trial-balance", "by"), ("/console/sign-in", "to")),
)
PATHS = tuple(f"/console/{name}/{{}}" for name in ("orders", "agreements", "differences", "reports", "users"))


def test_no_address_of_a_page_is_a_defect(mei: Browser) -> None:
    for value in STRANGE:
        written = quote(value, safe="")
        addresses = [f"{path}{'&' if '?' in path else '?'}{name}={written}" for path, name in QUERIES]
        addresses += [path.format(written) for path in PATHS if written not in ("", "%20")]
        for address in addresses:
            answer = mei.client.get(address, headers=mei.headers)
            assert answer.status_code < 500, (address, answer.status_code)


def test_a_database_that_does_not_answer_is_a_page_too(world: World, mei: Browser, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE operators RENAME TO gone"))
    page = mei.get("/console/")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO operators"))
    assert page.status == 503
    assert "The database does not answer." in page.text
    assert page.answer.content_type == "text/html; charset=utf-8"
    assert mei.get("/console/").status == 200


def test_what_is_no_address_of_the_console_is_a_page_that_says_so(mei: Browser) -> None:
    for address in ("/console/nothing", "/console/orders", "/console/orders/1/2", "/console/sign-out"):
        page = mei.get(address)
        assert (page.status, page.answer.content_type) == (404, "text/html; charset=utf-8")
        assert "There is no such thing." in page.text
    assert Browser(mei.client.application.test_client()).get("/console/nothing").path == "/console/sign-in"


def test_a_form_without_its_token_or_too_large_is_a_page_that_says_so(mei: Browser) -> None:
    for fields, status, words in (
        ({"csrf_token": "x"}, 400, "The form is too old"),
        ({"csrf_token": "x" * 1_100_000}, 413, "The body is too large."),
    ):
        answer = mei.client.post("/console/sign-out", data=fields, headers=mei.headers)
        assert (answer.status_code, words in answer.text) == (status, True)


def test_users_of_other_databases_are_found_while_one_does_not_answer(world: World, engine: Engine) -> None:
    low, high = (next(user for user in map(str, range(99)) if slot_of_user(user) // HALF == half) for half in (0, 1))
    order = world.order(user=low).order.id
    lost = databases.sessions_for(create_engine("sqlite:////nowhere/books.sqlite3"))
    world.core = replace(world.core, databases=two_databases(databases.sessions_for(engine), lost))
    mei = Browser(build_client(world, engine, console={"secret_key": SECRET}))
    start = mei.sign_in(make_operator(world.core), world.core)
    assert (start.status, start.path) == (200, "/console/")
    assert (
        "Not everything is here. Databases that do not answer, or from which users are being moved: second"
        in start.text
    )
    assert "Nothing waits." not in start.text
    searched = mei.get("/console/search", number=low)
    assert (searched.status, "being moved: second" in searched.text) == (200, True), (
        "the user alone, and that it is a part"
    )
    assert str(order) in mei.get(searched.links[low]).text
    searched = mei.get("/console/search", number=order)
    assert searched.path == f"/console/orders/{order}", "a number of ours is looked for where it lies"
    searched = mei.get("/console/search", number=high)
    assert mei.get(searched.links[f"User {high}"]).status == 503, "nothing found, so its own pages are offered"
