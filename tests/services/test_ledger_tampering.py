"""Whoever edits, deletes or inserts a row behind the ledger's back is found by the audit, and the row is named."""

from __future__ import annotations

import json
import sqlite3
import uuid

import pytest
from sqlalchemy import Engine, text

from app.domain.ledger import Lot, Posted, Transfer, system
from app.domain.numbers import SLOTS, keyed_uuid
from app.domain.spending import Capture, HoldRequest
from app.models.ledger import APPEND_ONLY, IMMUTABLE_COLUMNS
from app.services.ledger import post
from app.services.ledger.holding import Held, capture, hold
from app.services.ledger.reversing import Reverse, reverse
from app.services.ledger_audit import AuditState, audit, audit_slot
from app.services.transaction import Sessions
from tests.services.ledger_world import DAY, NOW, World

MINE = "slot = :slot AND book_id = :wallet"
EDITS = {
    # transfers
    "an amount": (f"UPDATE transfers SET amount = amount + 1 WHERE {MINE} AND version = 4", "transfers"),
    "a balance": (f"UPDATE transfers SET balance = balance + 1 WHERE {MINE} AND version = 4", "transfers"),
    "a kind": (f"UPDATE transfers SET kind = 'gift' WHERE {MINE} AND version = 4", "transfers"),
    "a reference": (f"UPDATE transfers SET reference = 'x' WHERE {MINE} AND version = 4", "transfers"),
    "a note": (f"UPDATE transfers SET note = 'x' WHERE {MINE} AND version = 4", "transfers"),
    "who did it": (f"UPDATE transfers SET actor = 'bob' WHERE {MINE} AND kind = 'reversal'", "transfers"),
    "a time": (
        f"UPDATE transfers SET created_at = '2026-02-01 00:00:00.000000' WHERE {MINE} AND version = 5",
        "transfers",
    ),
    "the receiver": (f"UPDATE transfers SET credit_id = :expired WHERE {MINE} AND version = 4", "transfers"),
    "an account that is none": (f"UPDATE transfers SET credit_id = 99 WHERE {MINE} AND version = 4", "transfers"),
    "a version": (f"UPDATE transfers SET version = 99 WHERE {MINE} AND version = 4", "transfers"),
    "a hash": (f"UPDATE transfers SET hash = :bytes WHERE {MINE} AND version = 4", "transfers"),
    "the lot used": (f"UPDATE transfers SET lot = 3 WHERE {MINE} AND version = 5", "transfers"),
    "an id": (f"UPDATE transfers SET id = :other_id WHERE {MINE} AND version = 4", "transfers"),
    "what a reversal is of": (
        f"UPDATE transfers SET cause_id = :other_id WHERE {MINE} AND kind = 'reversal'",
        "transfers",
    ),
    "the book": (f"UPDATE transfers SET book_id = :journal, version = 77 WHERE {MINE} AND version = 4", "transfers"),
    "a deleted spend": (f"DELETE FROM transfers WHERE {MINE} AND version = 4", "transfers"),
    "the last posting deleted": (f"DELETE FROM transfers WHERE {MINE} AND version = :last", "accounts"),
    "the first posting deleted": (f"DELETE FROM transfers WHERE {MINE} AND version = 1", "transfers"),
    "a deleted capture": (f"DELETE FROM transfers WHERE {MINE} AND kind = 'capture'", "transfers"),
    "a payment's amount": ("UPDATE transfers SET amount = 1 WHERE slot = :slot AND kind = 'payment'", "transfers"),
    "a deleted payment": ("DELETE FROM transfers WHERE slot = :slot AND kind = 'payment'", "accounts"),
    "an inserted spend": (
        "INSERT INTO transfers (slot, id, book_id, version, debit_id, credit_id, amount, balance, lot, created_at, "
        "hash, kind, reference, note, actor) SELECT slot, :other_id, book_id, version + 1, debit_id, credit_id, 1, "
        f"balance - 1, lot, created_at, hash, kind, '', '', '' FROM transfers WHERE {MINE} AND version = :last",
        "transfers",
    ),
    "an inserted payment": (
        "INSERT INTO transfers (slot, id, book_id, version, debit_id, credit_id, amount, balance, lot, created_at, "
        "hash, kind, reference, note, actor) SELECT slot, :other_id, book_id, version + 1, debit_id, credit_id, 1, "
        "0, 0, created_at, hash, kind, '', '', '' FROM transfers WHERE slot = :slot AND kind = 'payment'",
        "transfers",
    ),
    # accounts
    "a stored balance": ("UPDATE accounts SET balance = balance + 1 WHERE slot = :slot AND id = :wallet", "accounts"),
    "what is held": ("UPDATE accounts SET held = held + 1 WHERE slot = :slot AND id = :wallet", "accounts"),
    "a stored version": ("UPDATE accounts SET version = version - 1 WHERE slot = :slot AND id = :wallet", "accounts"),
    "the head": ("UPDATE accounts SET head = :bytes WHERE slot = :slot AND id = :wallet", "accounts"),
    "the time of the last posting": (
        "UPDATE accounts SET changed_us = 1 WHERE slot = :slot AND id = :wallet",
        "accounts",
    ),
    "the open remainder": ("UPDATE accounts SET open_left = open_left + 1 WHERE slot = :slot AND id = :wallet", "lots"),
    "the open lot": ("UPDATE accounts SET open_lot = 99 WHERE slot = :slot AND id = :wallet", "accounts"),
    "whose account it is": ("UPDATE accounts SET user_id = 'eve' WHERE slot = :slot AND id = :wallet", "transfers"),
    "a deleted account": ("DELETE FROM accounts WHERE slot = :slot AND id = :wallet", "lots"),
    "a deleted system account": ("DELETE FROM accounts WHERE slot = :slot AND code = 'revenue'", "transfers"),
    "coins on a system account": (
        "UPDATE accounts SET balance = 5 WHERE slot = :slot AND code = 'revenue'",
        "accounts",
    ),
    # lots
    "what remains of a lot": ("UPDATE lots SET remaining = remaining - 1 WHERE slot = :slot AND version = 6", "lots"),
    "what was granted": ("UPDATE lots SET granted = granted + 5 WHERE slot = :slot AND version = 6", "lots"),
    "paid for bonus": ("UPDATE lots SET bonus = :false WHERE slot = :slot AND version = 6", "transfers"),
    "an expiry": (
        "UPDATE lots SET expires_at = '2030-01-01 00:00:00.000000' WHERE slot = :slot AND version = 6",
        "transfers",
    ),
    "the value of a lot": ("UPDATE lots SET value_minor = 1 WHERE slot = :slot AND version = 3", "transfers"),
    "the payment of a lot": ("UPDATE lots SET payment = 'x' WHERE slot = :slot AND version = 3", "transfers"),
    "a deleted lot": ("DELETE FROM lots WHERE slot = :slot AND version = 6", "transfers"),
    "an inserted lot": (
        "INSERT INTO lots (slot, account_id, version, granted, remaining, bonus, payment, product, value_minor, "
        "currency, created_at) SELECT slot, account_id, 500, 9, 9, bonus, '', '', 0, '', created_at FROM lots "
        "WHERE slot = :slot AND version = 1",
        "lots",
    ),
    "how much of a lot was used": (
        "UPDATE lot_uses SET amount = amount + 1 WHERE slot = :slot AND lot = 1 AND version = 4",
        "transfers",
    ),
    "a deleted use": ("DELETE FROM lot_uses WHERE slot = :slot AND lot = 1 AND version = 4", "transfers"),
    "an inserted use": (
        "INSERT INTO lot_uses (slot, account_id, version, lot, position, amount) VALUES (:slot, :wallet, 5, 1, 0, 1)",
        "transfers",
    ),
    "a use of no posting": (
        "INSERT INTO lot_uses (slot, account_id, version, lot, position, amount) VALUES (:slot, :wallet, 400, 1, 0, 1)",
        "lot_uses",
    ),
    # holds
    "how much is held": ("UPDATE holds SET amount = amount + 1 WHERE slot = :slot AND captured = 0", "holds"),
    "how much was captured": (
        "UPDATE holds SET captured = captured + 1, released = released - 1 WHERE slot = :slot AND captured > 0",
        "holds",
    ),
    "how long a hold lasts": ("UPDATE holds SET expires_at = '2030-01-01 00:00:00.000000' WHERE slot = :slot", "holds"),
    "a reference of a hold": ("UPDATE holds SET reference = 'x' WHERE slot = :slot", "holds"),
    "a hold that is let go": (
        "UPDATE holds SET released = amount, state = 'released' WHERE slot = :slot AND captured = 0",
        "accounts",
    ),
    "a deleted open hold": ("DELETE FROM holds WHERE slot = :slot AND captured = 0", "accounts"),
    "a deleted captured hold": ("DELETE FROM holds WHERE slot = :slot AND captured > 0", "holds"),
}


@pytest.fixture(scope="module")
def unguarded(books: Sessions) -> Engine:
    """The engine of someone who got past the triggers and the foreign keys."""
    engine: Engine = books.kw["bind"]
    with engine.begin() as connection:
        for table in (*APPEND_ONLY, *IMMUTABLE_COLUMNS):
            for guard in ("no_update", "no_delete"):
                on = f" ON {table}" if engine.dialect.name == "postgresql" else ""
                connection.exec_driver_sql(f"DROP TRIGGER {table}_{guard}{on}")
    return engine


def _tamper(engine: Engine, world: World, edit: str) -> int:
    """Run one edit with foreign keys off; how many rows it touched."""
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if sqlite:
            raw = connection.connection.dbapi_connection
            assert isinstance(raw, sqlite3.Connection)
            raw.execute("PRAGMA foreign_keys=OFF")
        else:
            connection.execute(text("SET session_replication_role = replica"))
        query = text("SELECT code, id, version FROM accounts WHERE slot = :slot ORDER BY asset DESC, code")
        numbers = {row.code: row for row in connection.execute(query, {"slot": world.slot})}
        other_id = keyed_uuid(world.slot, "forged", "1")
        values = {
            "slot": world.slot,
            "wallet": numbers["wallet"].id,
            "last": numbers["wallet"].version,
            "expired": numbers["expired"].id,
            "journal": numbers["journal"].id,
            "other_id": other_id.hex if sqlite else other_id,
            "bytes": b"\x01" * 32,
            "false": False,
        }
        used = {name: value for name, value in values.items() if f":{name}" in edit}
        touched = connection.execute(text("/* sweep: audit */ " + edit), used).rowcount
        connection.commit()
        connection.invalidate()
    return touched


def _lively(world: World) -> World:
    """A bit of everything. Versions of the wallet: lots are made by 1, 2, 3 and 6."""
    world.credit(10, lot=Lot(expires_at=NOW + DAY))
    world.credit(10, lot=Lot(bonus=True))
    world.credit(100, lot=Lot(bonus=False, payment="P1", product="pack", value_minor=600, currency="CNY"))
    several = world.spend(15, reference="order-1")  # 4: lots 1 and 2
    world.spend(2)  # 5: lot 2
    world.credit(9, lot=Lot(bonus=True, expires_at=NOW + DAY))  # 6
    held = world.do(hold, HoldRequest(world.user, "coin", 5, "h1", 7 * 24 * 3600))
    world.do(hold, HoldRequest(world.user, "coin", 4, "h2", 7 * 24 * 3600))
    assert isinstance(held, Held)
    world.do(capture, Capture(held.id, "c", 2, final=True))  # 7: lot 6
    assert isinstance(several, Posted)
    world.do(reverse, Reverse(several.id, "r", "mistake", "ann", 3))  # 8
    world.now += 2 * DAY
    world.sweep()
    paid = Transfer(f"p {world.user}", "1", system("clearing:x", "CNY"), system("sales", "CNY"), 600, "payment")
    world.do(post, [paid])
    world.spend(20)
    return world


def test_untouched_books_are_clean(world: World) -> None:
    assert _lively(world).findings() == []


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_found_and_named(name: str, world: World, unguarded: Engine) -> None:
    edit, table = EDITS[name]
    _lively(world)
    assert _tamper(unguarded, world, edit) >= 1
    findings = world.findings()
    assert findings, f"nobody noticed: {name}"
    assert any(finding.startswith(f"{table} ") for finding in findings), findings


def test_the_first_bad_row_of_a_chain_is_named(world: World, unguarded: Engine) -> None:
    world.credit(100)
    spent = [world.spend(1) for _ in range(5)]
    _edit(unguarded, world, "UPDATE transfers SET note = 'x' WHERE slot = :slot AND version IN (3, 5)")
    named = [finding.split()[1].rstrip(":") for finding in world.findings()]
    assert named == [str(spent[1].id), str(spent[3].id)]


def _edit(engine: Engine, world: World, edit: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("/* sweep: audit */ " + edit), {"slot": world.slot})


def test_the_audit_can_be_stopped_and_resumed(world: World) -> None:
    world.credit(5)
    whole = AuditState()
    state = AuditState()
    for slot in range(SLOTS):
        if slot in World._slots:
            audit_slot(world.sessions, slot, whole)
            kept = json.loads(state.to_json())
            assert kept["transfers"] == state.transfers
            state = AuditState.from_json(state.to_json())
            audit_slot(world.sessions, slot, state)
    assert state == whole
    assert state.transfers > 0
    assert uuid.UUID(state.seal[:32])


def test_the_whole_audit_walks_all_slots_and_reports_progress(books: Sessions) -> None:
    worlds = [World(books) for _ in range(3)]
    for world in worlds:
        world.credit(5)
    seen: list[int] = []
    start = min(world.slot for world in worlds)
    state = audit(books, state=AuditState(next_slot=start), watch=lambda s: seen.append(s.next_slot))
    assert {world.slot + 1 for world in worlds} <= set(seen)
    assert seen == sorted(seen)
    assert state.done
