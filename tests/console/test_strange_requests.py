"""What somebody types into the address of a page: never a defect, always a page."""

from __future__ import annotations

from urllib.parse import quote

from sqlalchemy import Engine, text

from tests.console.browser import Browser
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
