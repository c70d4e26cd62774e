"""The proof of gifts: whoever edits, deletes or adds a row of a gift or a recall behind the service's back is found."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from app.domain.limits import LedgerRules
from app.models import gifts as tables
from app.models.base import Base
from app.providers.facts import Kind
from app.services.audit import run
from app.services.audit.gifts import audit_gifts
from app.services.audit.ledger import AsOf
from app.services.base.transaction import Sessions
from tests.conftest import create_schema
from tests.support import databases
from tests.support.friends import Friends, buyer_in, friends_in
from tests.support.tampering import let_everything_pass, unguard
from tests.support.world import START, World, build_world

EDITS = {
    "gifts": {
        "slot": "slot = slot + 1, id = id + 1",
        "id": "id = id + 4096000000",
        "giver": "giver = 'eve'",
        "receiver": "receiver = 'eve'",
        "asset": "asset = 'gem'",
        "environment": "environment = 'live'",
        "amount": "amount = amount + 1",
        "message": "message = 'x'",
        "reference": "reference = 'x'",
        "actor": "actor = 'x'",
        "request": "request = '0123456789abcdef0123456789abcdef'",
        "status": "status = CASE status WHEN 'received' THEN 'returned' ELSE 'received' END",
        "reason": "reason = CASE reason WHEN '' THEN 'receiver_limit' ELSE 'balance_overflow' END",
        "created_at": "created_at = '2026-01-01 00:00:00.000000'",
        "seal": "seal = X'00'",
    },
    "gift_parts": {
        "slot": "slot = slot + 1",
        "gift_id": "gift_id = gift_id + 4096000000",
        "position": "position = position + 7",
        "account_id": "account_id = account_id + 4096000000",
        "lot": "lot = lot + 7",
        "amount": "amount = amount + 1",
        "bonus": "bonus = NOT bonus",
        "expires_at": "expires_at = '2026-05-01 00:00:00.000000'",
        "payment": "payment = '1'",
        "product": "product = 'x'",
        "value_minor": "value_minor = value_minor + 20",
        "currency": "currency = 'JPY'",
    },
    "gift_arrivals": {
        "slot": "slot = slot + 1",
        "gift_id": "gift_id = gift_id + 4096000000",
        "giver": "giver = 'eve'",
        "receiver": "receiver = 'eve'",
        "asset": "asset = 'gem'",
        "environment": "environment = 'live'",
        "amount": "amount = amount + 1",
        "message": "message = 'x'",
        "reference": "reference = 'x'",
        "accepted": "accepted = NOT accepted",
        "reason": "reason = 'x'",
        "sent_at": "sent_at = '2026-01-01 00:00:00.000000'",
    },
    "recalls": {
        "slot": "slot = slot + 1, id = id + 1",
        "id": "id = id + 4096000000",
        "asset": "asset = 'gem'",
        "environment": "environment = 'live'",
        "bonus": "bonus = NOT bonus",
        "grant_id": "grant_id = '0123456789abcdef0123456789abcdef'",
        "wanted": "wanted = wanted + 1",
        "taken": "taken = taken - 1",
        "asked": "asked = '[]'",
        "status": "status = 'done'",
    },
    "recall_answers": {
        "slot": "slot = slot + 1",
        "recall_id": "recall_id = recall_id + 4096000000",
        "gift_id": "gift_id = gift_id + 4096000000",
        "round": "round = round + 7",
        "asset": "asset = 'gem'",
        "environment": "environment = 'live'",
        "taken": "taken = taken + 1",
    },
}
HARMLESS = {
    "gifts": {"ended_at", "next_try_at", "tries"},
    "gift_arrivals": {"at"},
    "recalls": {
        *("payment_id", "theirs", "places", "round", "policy", "reference", "note"),
        *("created_at", "done_at", "next_try_at", "tries"),
    },
    "recall_answers": {"onward", "at"},
}
"""Columns that say when something was done, or what is to be done next, and from which no balance follows. A recall
goes on from them; once it has ended, its end is proved by the transfers of its refund."""
COLUMNS = [(table, column) for table, edits in EDITS.items() for column in edits]


def _live(world: World) -> Friends:
    """Gifts that arrived, came back and are under way; recalls that have ended, and one that has a receiver to ask."""
    friends = friends_in(world)
    ann, cem = buyer_in(friends, "ann"), buyer_in(friends, "cem")
    friends.give("ann", "bob", 40, message="for you", reference="app-1")
    friends.give("bob", "dan", 10)
    friends.spend("dan", 5)
    ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    friends.work(seconds=1)
    friends.give("cem", "bob", 66)
    friends.spend("bob", 6)
    friends.credit("eve", 10)
    friends.send_only("eve", "dan", 5)
    cem.tell(cem.fact(Kind.REFUNDED, 1, refund="r2", money=600))
    return friends


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database to which all of that has happened, and whose triggers are gone."""
    file = tmp_path_factory.mktemp("gifts") / "lively.sqlite3"
    create_schema(f"sqlite:///{file}")
    with databases.engine_for(f"sqlite:///{file}") as engine:
        _live(build_world(engine, databases.sessions_for(engine)))
        unguard(engine)
    return file


@pytest.fixture
def engine_of_copy(lively: Path, tmp_path: Path) -> Iterator[Engine]:
    file = tmp_path / "copy.sqlite3"
    shutil.copyfile(lively, file)
    with databases.engine_for(f"sqlite:///{file}") as engine:
        yield engine


def _findings(sessions: Sessions) -> list[str]:
    found = run.audit(sessions, AsOf(LedgerRules(), lambda: START + timedelta(hours=1)))
    return [f"{finding.what}: {finding.detail}" for finding in found]


def _found_in(engine: Engine) -> list[str]:
    return _findings(databases.sessions_for(engine))


def _run(engine: Engine, statement: str) -> None:
    with engine.connect() as connection:
        let_everything_pass(connection)
        assert connection.execute(text(f"/* sweep: audit */ {statement}")).rowcount == 1, statement
        connection.commit()
        connection.invalidate()


def _one(table: str) -> str:
    """A condition that picks one row of the table: one that something follows from."""
    if table == "recalls":
        return "id = (SELECT MAX(id) FROM recalls WHERE taken > 0 AND wanted > taken)"
    if table == "recall_answers":
        key = "recall_id, gift_id, round"
        return f"({key}) IN (SELECT {key} FROM recall_answers ORDER BY taken DESC LIMIT 1)"
    key = "id" if table == "gifts" else "gift_id"
    first = f"{key} = (SELECT MIN({key}) FROM {table})"
    return f"{first} AND position = 1" if table == "gift_parts" else first


def test_every_column_has_its_edit_or_has_no_effect() -> None:
    for table, edits in EDITS.items():
        columns = {column.name for column in Base.metadata.tables[table].columns}
        assert columns == set(edits) | HARMLESS.get(table, set()), table
    mine = {mapper.local_table.name for mapper in Base.registry.mappers if mapper.class_.__module__ == tables.__name__}
    assert mine == set(EDITS)


def test_untouched_gifts_are_clean(world: World) -> None:
    """On each engine: gifts and recalls under way and ended."""
    friends = _live(world)
    assert _findings(friends.world.core.whole.sessions) == []
    friends.work()
    assert (_findings(friends.world.core.whole.sessions), friends.in_transit) == ([], 0)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_an_edit_of_a_column_is_found(table: str, column: str, engine_of_copy: Engine) -> None:
    edit = EDITS[table][column]
    where = "status = 'open'" if (table, column) == ("recalls", "status") else _one(table)
    _run(
        engine_of_copy,
        f"UPDATE {table} SET {edit} WHERE {where} AND rowid IN (SELECT rowid FROM {table} WHERE {where} LIMIT 1)",
    )
    assert _found_in(engine_of_copy) != []


@pytest.mark.parametrize("table", EDITS)
def test_a_deleted_row_is_found(table: str, engine_of_copy: Engine) -> None:
    _run(engine_of_copy, f"DELETE FROM {table} WHERE {_one(table)}")
    assert _found_in(engine_of_copy) != []


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE transfers SET amount = amount + 1 WHERE kind = 'gift_recalled' AND amount ="
        " (SELECT MAX(amount) FROM transfers WHERE kind = 'gift_recalled')",
        "UPDATE transfers SET amount = amount - 1 WHERE kind = 'clawback_unrecalled' AND amount ="
        " (SELECT MAX(amount) FROM transfers WHERE kind = 'clawback_unrecalled')",
        "UPDATE transfers SET kind = 'gift' WHERE kind = 'spend' AND amount = 6",
    ],
)
def test_an_edit_of_the_ledger_beneath_a_gift_is_found_by_the_proof_of_gifts(edit: str, engine_of_copy: Engine) -> None:
    _run(engine_of_copy, edit)
    assert list(audit_gifts(databases.sessions_for(engine_of_copy))) != []


def test_an_arrival_that_nobody_sent_is_found(engine_of_copy: Engine) -> None:
    """Coins from nowhere: a receiver's side without a giver's."""
    names = ", ".join(f'"{column.name}"' for column in tables.GIFT_ARRIVALS.columns)
    values = names.replace('"gift_id"', "gift_id + 409600")
    where = _one("gift_arrivals")
    _run(engine_of_copy, f"INSERT INTO gift_arrivals ({names}) SELECT {values} FROM gift_arrivals WHERE {where}")
    assert any(finding.startswith("gift_unknown") for finding in _found_in(engine_of_copy))
