"""Lists as CSV: what is in the files, and that they are sent without holding memory, connections or threads."""

from __future__ import annotations

import csv
import importlib
import io
import pkgutil
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from werkzeug.test import TestResponse

import app.web
from app.web import ledger, lists, orders, refunds, wallet_lists
from app.web.lists import ListShape
from tests.support.long_statement import write_statement
from tests.support.web_client import BACKEND_KEY, ApiClient, order_body, token
from tests.support.world import World

API = Path(__file__).resolve().parents[2] / "docs" / "api.md"
FORMULA = '=HYPERLINK("https://evil.test","coins")'
SHAPES = {
    "/v1/statement": ledger.STATEMENT_LIST,
    "/v1/orders": orders.ORDER_LIST,
    "/v1/refunds": refunds.REFUND_LIST,
    "/v1/wallet/lots": wallet_lists.LOT_LIST,
    "/v1/holds": wallet_lists.HOLD_LIST,
    "/v1/transfers": wallet_lists.TRANSFER_LIST,
    "/v1/wallets/freezes": refunds.FREEZE_LIST,
}


def table(answer: TestResponse) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def as_cell(value: Any) -> str:
    """What a plain value of the JSON answer is in the file, by the rule that the documentation tells."""
    if isinstance(value, str):
        return f"'{value}" if value.strip()[:1] in {"=", "+", "-", "@", "'"} else value
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _fill(world: World, http: FlaskClient) -> None:
    alice, backend = ApiClient(http, token("alice")), ApiClient(http, BACKEND_KEY)
    for reason in ("r", FORMULA):
        order = alice.post("/v1/orders", order_body()).get_json()
        world.pay(int(order["payments"][0]["number"]))
        world.deliver()
        world.clock.advance(10)
        assert backend.post("/v1/refunds", {"order": order["number"], "reason": reason}).status_code == 201
    alice.post("/v1/orders", order_body())
    for number, reason in enumerate(("-1+1", "@x", '周年;礼包, "A"\r\nB', "plain")):
        grant = {"user": "alice", "asset": "coin", "amount": 10, "reason": reason, "reference": "+86"}
        backend.post("/v1/grants", grant)
        hold = {"user": "alice", "asset": "coin", "amount": 2, "seconds": 60, "note": reason}
        backend.post("/v1/holds", hold)
        spend = {"user": "alice", "asset": "coin", "amount": number + 1}
        backend.post("/v1/spends", spend)
    for what in ("freeze", "unfreeze"):
        backend.post(f"/v1/wallets/{what}", {"user": "alice", "reason": f"={what}"})


@pytest.mark.parametrize("path", sorted(SHAPES))
def test_a_file_has_what_the_pages_have_in_the_columns_that_are_documented(
    path: str, world: World, http: FlaskClient
) -> None:
    _fill(world, http)
    backend = ApiClient(http, BACKEND_KEY)
    shape = SHAPES[path]
    lines = table(backend.get(path, user="alice", format="csv", limit="1"))
    page = backend.get(path, user="alice", limit="200").get_json()[shape.member]
    assert len(lines) == len(page) > 1
    assert tuple(lines[0]) == shape.columns
    for line, entry in zip(lines, page, strict=True):
        shown = {name: as_cell(value) for name, value in entry.items() if not isinstance(value, list)}
        assert {name: cell for name, cell in line.items() if name in shown} == {
            name: cell for name, cell in shown.items() if name in shape.columns
        }


def test_the_columns_are_those_of_the_documentation() -> None:
    """Those of every list that the API has, whichever module shapes it."""
    rows = re.findall(r"^\| `(/v1/[a-z/<>-]+)` \| `([a-z0-9_, ]+)` \|$", API.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {path: tuple(columns.split(", ")) for path, columns in rows}
    assert {path: documented[path] for path in SHAPES} == {path: shape.columns for path, shape in SHAPES.items()}
    modules = [importlib.import_module(f"app.web.{each.name}") for each in pkgutil.iter_modules(app.web.__path__)]
    every = {shape.columns for module in modules for shape in vars(module).values() if isinstance(shape, ListShape)}
    assert set(documented.values()) == every


def test_an_order_names_the_payment_that_bought_it(world: World, http: FlaskClient) -> None:
    _fill(world, http)
    backend = ApiClient(http, BACKEND_KEY)
    for query in ({"user": "alice"}, {}):
        lines = table(backend.get("/v1/orders", format="csv", **query))
        shown = backend.get("/v1/orders", **query).get_json()["orders"]
        assert [line["payment"] for line in lines] == ["", *(order["payments"][0]["number"] for order in shown[1:])]
        assert [line["provider_account"] for line in lines] == ["", "sandbox", "sandbox"]
        assert lines[0]["grants"].startswith('[{"amount":60,"asset":"coin","bonus":false')


def test_no_cell_is_a_formula(world: World, http: FlaskClient) -> None:
    _fill(world, http)
    backend = ApiClient(http, BACKEND_KEY)
    found = set()
    for path in SHAPES:
        for line in table(backend.get(path, user="alice", format="csv")):
            for cell in line.values():
                assert not cell.startswith(("=", "+", "@"))
                assert not cell.startswith("-") or cell[1:].isdigit()
                found.add(cell)
    assert {f"'{FORMULA}", "'-1+1", "'@x", "'+86", "-1"} <= found


def test_csv_is_asked_for_by_format_or_by_accept(alice: ApiClient) -> None:
    def kind(accept: str | None, **query: str) -> str:
        headers = {**alice.headers, **({"Accept": accept} if accept else {})}
        answer = alice.client.get("/v1/statement", headers=headers, query_string=query)
        assert answer.status_code == 200
        return answer.mimetype

    assert kind("text/csv") == kind(None, format="csv") == kind("application/json", format="csv") == "text/csv"
    assert kind("text/csv;q=0.9, application/json;q=0.1") == "text/csv"
    for accept in (None, "*/*", "application/json", "text/html,*/*;q=0.8", "application/json, text/csv;q=0.5"):
        assert kind(accept) == "application/json"
    assert kind("text/csv", format="json") == "application/json"


def test_a_file_begins_after_the_cursor(world: World, http: FlaskClient) -> None:
    _fill(world, http)
    backend = ApiClient(http, BACKEND_KEY)
    cursor = backend.get("/v1/orders", limit="1").get_json()["next"]
    whole = table(backend.get("/v1/orders", format="csv"))
    assert table(backend.get("/v1/orders", format="csv", cursor=cursor)) == whole[1:]
    assert backend.get("/v1/orders", format="csv", cursor="x").get_json()["field"] == "cursor"


def test_an_empty_list_is_a_file_with_its_columns(alice: ApiClient) -> None:
    answer = alice.get("/v1/holds", format="csv")
    assert answer.text == ",".join(wallet_lists.HOLD_LIST.columns) + "\r\n"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="holds.csv"'


# --- how it is sent ---


def _take(answer: TestResponse) -> int:
    """Read the file piece by piece; how many lines it had after the columns."""
    return sum(piece.count(b"\n") for piece in answer.iter_encoded()) - 1


def test_a_long_file_takes_no_more_memory_than_a_short_one(world: World, http: FlaskClient, engine: Engine) -> None:
    peaks, lines = [], (2 * lists.ROWS_AT_ONCE, 10 * lists.ROWS_AT_ONCE)
    for user, many in zip(("short", "long"), lines, strict=True):
        write_statement(world, user, many)
    _take(ApiClient(http, token("short")).get("/v1/statement", format="csv"))
    for user, many in zip(("short", "long"), lines, strict=True):
        client = ApiClient(http, token(user))
        tracemalloc.start()
        try:
            assert _take(client.get("/v1/statement", format="csv")) == many
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0], "five times the lines"
    assert peaks[1] < 8 * 2**20


def test_no_connection_is_held_while_a_reader_takes_the_time(world: World, http: FlaskClient, engine: Engine) -> None:
    write_statement(world, "alice", lists.ROWS_AT_ONCE + 1)
    pieces = iter(ApiClient(http, token("alice")).get("/v1/statement", format="csv").iter_encoded())
    next(pieces)
    next(pieces)
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert next(pieces).count(b"\n") == 1


def test_a_file_that_cannot_be_read_to_its_end_does_not_end(world: World, http: FlaskClient, engine: Engine) -> None:
    write_statement(world, "alice", lists.ROWS_AT_ONCE + 1)
    answer = ApiClient(http, token("alice")).get("/v1/statement", format="csv")
    pieces = iter(answer.iter_encoded())
    next(pieces)
    with engine.begin() as connection:
        connection.execute(text("DROP VIEW postings"))
        connection.execute(text("ALTER TABLE transfers RENAME TO gone"))
    next(pieces)
    with pytest.raises(DBAPIError):
        next(pieces)


@pytest.mark.parametrize(
    ("credentials", "most"), [(BACKEND_KEY, lists.MOST_DOWNLOADS), (token("alice"), lists.MOST_DOWNLOADS_OF_USERS)]
)
def test_so_many_files_are_sent_at_a_time_and_the_next_one_waits(
    credentials: str, most: int, world: World, http: FlaskClient
) -> None:
    write_statement(world, "alice", 2 * lists.ROWS_AT_ONCE)
    client = ApiClient(http, credentials)

    def file() -> TestResponse:
        return client.get("/v1/statement", format="csv", user="alice")

    taken = [file() for _ in range(most)]
    full = file()
    assert (full.status_code, full.get_json()["code"], full.headers["Retry-After"]) == (503, "too_many_downloads", "2")
    assert client.get("/v1/statement", user="alice").status_code == 200, "a page is no file"
    assert _take(taken[0]) == 2 * lists.ROWS_AT_ONCE
    again = file()
    assert again.status_code == 200, "one was read to its end"
    again.close()
    last = file()
    assert last.status_code == 200, "one was given up"
    for answer in (last, *taken):
        answer.close()


def test_files_of_users_do_not_take_the_places_of_the_backend(world: World, http: FlaskClient) -> None:
    write_statement(world, "alice", 2 * lists.ROWS_AT_ONCE)
    of_user = ApiClient(http, token("alice")).get("/v1/statement", format="csv")
    of_backend = ApiClient(http, BACKEND_KEY).get("/v1/statement", format="csv", user="alice")
    assert (of_user.status_code, of_backend.status_code) == (200, 200)
    for answer in (of_user, of_backend):
        answer.close()
