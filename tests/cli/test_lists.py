"""Operators list orders, refunds and holds: a line each, or CSV in the columns of the API."""

from __future__ import annotations

import csv
import io

import pytest
from click.testing import CliRunner

from app.cli import lists, main
from app.domain.list_tables import HOLD_COLUMNS, ORDER_COLUMNS, REFUND_COLUMNS
from app.domain.spending import HoldRequest
from app.services.calls import refund_calls
from app.services.ledger import holds
from tests.support.buyer import Buyer
from tests.support.world import World


@pytest.fixture
def buyers(world: World, database_url: str, monkeypatch: pytest.MonkeyPatch) -> list[Buyer]:
    """Three who have paid, a minute apart; the first has got 100 back."""
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    made = []
    for _ in range(3):
        made.append(Buyer(world))
        made[-1].pay()
        world.clock.advance(60)
    refund_calls.work_on_refund(world.core, made[0].ask(100))
    made[1].ask()
    return made


def run(*words: str) -> list[str]:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def table(*words: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("\n".join(run(*words, "--csv")))))


def test_orders_are_listed_by_status_time_and_user(buyers: list[Buyer]) -> None:
    numbers = [str(buyer.order_id) for buyer in reversed(buyers)]
    assert [line.split()[0] for line in run("orders", "list")] == numbers
    assert [line.split()[0] for line in run("orders", "list", "--limit", "2")] == numbers[:2]
    assert run("orders", "list", "--status", "open") == []
    (line,) = run("orders", "list", "--user", buyers[1].user, "--status", "paid")
    assert line.endswith(f"sandbox  paid  6.00 CNY  1 × coins-60  user={buyers[1].user}")
    since = buyers[1].world.order_row(buyers[1].order_id).created_at.isoformat()
    assert len(run("orders", "list", "--since", since)) == 2
    assert len(run("orders", "list", "--until", since)) == 1
    assert CliRunner().invoke(main, ["orders", "list", "--since", "yesterday"]).exit_code == 2


def test_a_file_of_orders_has_all_in_the_columns_of_the_api(buyers: list[Buyer]) -> None:
    found = table("orders", "list")
    assert tuple(found[0]) == ORDER_COLUMNS
    assert [line["number"] for line in found] == [str(buyer.order_id) for buyer in reversed(buyers)]
    assert [line["payment"] for line in found] == [str(buyer.payment_id) for buyer in reversed(buyers)]
    assert len(table("orders", "list", "--limit", "1")) == 1


def test_more_rows_than_are_read_at_once_are_all_listed() -> None:
    """Rows are read in pages; a limit in the middle of a page is kept."""
    asked: list[int] = []
    rows = range(2 * lists.LIST_ROWS_AT_ONCE + 5)

    def read(place: lists.ListPlace | None, most: int) -> lists.ListPage[int]:
        asked.append(most)
        start = 0 if place is None else place[0]
        end = min(start + most, len(rows))
        return lists.ListPage(rows[start:end], (end,) if end < len(rows) else None)

    assert list(lists.rows_of(read, None)) == list(rows)
    assert list(lists.rows_of(read, lists.LIST_ROWS_AT_ONCE + 3)) == list(rows)[: lists.LIST_ROWS_AT_ONCE + 3]
    assert list(lists.rows_of(read, 7)) == list(range(7))
    assert max(asked) == lists.LIST_ROWS_AT_ONCE
    assert asked[-1] == 7


def test_refunds_are_listed_by_status_and_user_with_their_user_in_the_file(buyers: list[Buyer]) -> None:
    assert len(run("refunds", "list")) == 2
    (done,) = run("refunds", "list", "--status", "done")
    assert f"payment={buyers[0].payment_id}" in done
    found = table("refunds", "list", "--user", buyers[1].user)
    assert tuple(found[0]) == REFUND_COLUMNS
    assert [(line["user"], line["status"], line["amount_minor"]) for line in found] == [
        (buyers[1].user, "created", "600")
    ]


def test_holds_of_a_user_are_listed_by_state(buyers: list[Buyer], world: World) -> None:
    buyer = buyers[2]
    request = HoldRequest(buyer.user, "coin", 5, "h", 60, environment="sandbox", reference="room-1", actor="=x")
    world.core.whole.transact(lambda tx: holds.hold(tx, buyer.slot, request))
    assert run("wallets", "holds", buyer.user, "--state", "captured") == []
    found = table("wallets", "holds", buyer.user)
    assert tuple(found[0]) == HOLD_COLUMNS
    assert (found[0]["amount"], found[0]["reference"], found[0]["actor"]) == ("5", "room-1", "'=x")
    (line,) = run("wallets", "holds", buyer.user)
    assert line.startswith(f"{request.id_in(buyer.slot)}  ")
    assert line.endswith("by =x  room-1")
