"""Whoever edits, deletes or inserts a checkpoint is found by the audit."""

from __future__ import annotations

import pytest

from app.domain.limits import LedgerRules
from app.services.audit import run
from app.services.audit.ledger import AsOf
from app.services.base.transaction import Sessions
from tests.services.checkpoint_world import DAY, HOUR, START, Books

FIRST, SECOND, FOURTH, SEVENTH = (f"'2026-03-01 {hour:02}:00:00.000000'" for hour in (1, 2, 4, 7))
EDITS = {
    "debits": f"UPDATE checkpoints SET debits = '1' WHERE until_at = {SECOND} AND code = 'issuance'",
    "credits of users": f"UPDATE checkpoints SET credits = '9' WHERE until_at = {SECOND} AND of_users",
    "both sides alike": f"UPDATE checkpoints SET debits = debits || '0', credits = credits || '0' "
    f"WHERE until_at = {SECOND}",
    "the number of legs": f"UPDATE checkpoints SET legs = legs + 1 WHERE until_at = {SECOND} AND of_users",
    "the name of an account": f"UPDATE checkpoints SET code = 'mine' WHERE until_at = {SECOND} AND NOT of_users",
    "whose account it is": f"UPDATE checkpoints SET of_users = NOT of_users WHERE until_at = {SECOND}",
    "a moment": f"UPDATE checkpoints SET until_at = '2026-03-01 02:30:00.000000' WHERE until_at = {SECOND}",
    "a deleted row": f"DELETE FROM checkpoints WHERE until_at = {SECOND} AND of_users",
    "a deleted checkpoint": f"DELETE FROM checkpoints WHERE until_at = {SECOND}",
    "the first one deleted": f"DELETE FROM checkpoints WHERE until_at = {FIRST}",
    "an inserted row": "INSERT INTO checkpoints (until_at, of_users, code, asset, environment, debits, credits, legs) "
    f"SELECT until_at, of_users, 'mine', asset, environment, '0', '5', 1 FROM checkpoints WHERE until_at = {SECOND} "
    "AND of_users",
    "an inserted checkpoint": "INSERT INTO checkpoints (until_at, of_users, code, asset, environment, debits, credits, "
    "legs) SELECT '2026-03-01 03:00:00.000000', of_users, code, asset, environment, debits, credits, legs "
    f"FROM checkpoints WHERE until_at = {SECOND}",
    "one before everything": "INSERT INTO checkpoints (until_at, of_users, code, asset, environment, debits, credits, "
    "legs) SELECT '1969-01-01 03:00:00.000000', of_users, code, asset, environment, debits, credits, legs "
    f"FROM checkpoints WHERE until_at = {SECOND}",
    "one after everything": "INSERT INTO checkpoints (until_at, of_users, code, asset, environment, debits, credits, "
    "legs) SELECT '2031-01-01 03:00:00.000000', of_users, code, asset, environment, debits, credits, legs "
    f"FROM checkpoints WHERE until_at = {SEVENTH}",
}

AS_OF = AsOf(LedgerRules(), lambda: START + DAY)


@pytest.fixture
def ledger(sessions: Sessions) -> Books:
    """Checkpoints at 1, 2, 4 and 7 o'clock."""
    books = Books(sessions)
    for hours in (0, 1, 3, 6):
        books.issue(10 + hours, START + hours * HOUR)
    books.work(START + DAY)
    return books


def test_what_the_worker_wrote_is_right(ledger: Books) -> None:
    assert ledger.audited() == []
    assert run.audit(ledger.sessions, AS_OF) == []


def test_each_edit_is_found_and_named_once(ledger: Books) -> None:
    missed = []
    for name, edit in EDITS.items():
        ledger.run(edit)
        if len(found := ledger.audited()) != 1 or not found[0].startswith("checkpoint "):
            missed.append((name, found))
        ledger.run("DELETE FROM checkpoints")
        ledger.work(START + DAY)
        assert ledger.audited() == []
    assert missed == []


def test_the_first_that_differs_is_the_one_named(ledger: Books) -> None:
    ledger.run(f"UPDATE checkpoints SET debits = '1' WHERE until_at = {FOURTH} AND code = 'issuance'")
    ledger.run(EDITS["debits"])
    assert ledger.audited() == [
        "checkpoint 2026-03-01T02:00:00+00:00: the house's issuance in coin live: "
        "1 out and 0 in by 2 legs, must be 21 out and 0 in by 2 legs"
    ]


def test_it_is_a_finding_of_the_whole_audit(ledger: Books) -> None:
    ledger.run(EDITS["a deleted checkpoint"])
    assert [(found.what, found.detail) for found in run.audit(ledger.sessions, AS_OF)] == [
        ("checkpoint", "2026-03-01T02:00:00+00:00 is missing")
    ]


def test_a_transfer_that_was_deleted_is_missing_in_its_checkpoint(ledger: Books) -> None:
    on = " ON transfers" if ledger.sessions.kw["bind"].dialect.name == "postgresql" else ""
    ledger.run(f"DROP TRIGGER transfers_no_delete{on}")
    ledger.run("/* sweep: audit */ DELETE FROM transfers WHERE amount = 11")
    assert ledger.audited() == ["checkpoint 2026-03-01T02:00:00+00:00 must not be: nothing was booked in its hour"]


def test_that_the_newest_are_missing_is_no_finding_for_they_are_written_again(ledger: Books) -> None:
    right = ledger.stored()
    ledger.run(f"DELETE FROM checkpoints WHERE until_at >= {FOURTH}")
    assert ledger.audited() == []
    ledger.work(START + DAY)
    assert ledger.stored() == right
