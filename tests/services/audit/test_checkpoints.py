"""Whoever edits, deletes or inserts a checkpoint is found by the audit."""

from __future__ import annotations

import pytest

from app.domain.limits import LedgerRules
from app.services.audit import run
from app.services.audit.ledger import AsOf
from app.services.base.transaction import Sessions
from tests.support.books import DAY, START, Books

FIRST, SECOND, FOURTH, SEVENTH = (f"'2026-03-0{day}'" for day in (1, 2, 4, 7))
EDITS = {
    "debits": f"UPDATE checkpoints SET debits = '1' WHERE day = {SECOND} AND code = 'issuance'",
    "credits of users": f"UPDATE checkpoints SET credits = '9' WHERE day = {SECOND} AND of_users",
    "both sides alike": f"UPDATE checkpoints SET debits = debits || '0', credits = credits || '0' WHERE day = {SECOND}",
    "the name of an account": f"UPDATE checkpoints SET code = 'mine' WHERE day = {SECOND} AND NOT of_users",
    "whose account it is": f"UPDATE checkpoints SET of_users = NOT of_users WHERE day = {SECOND}",
    "a day": f"UPDATE checkpoints SET day = '2026-03-03' WHERE day = {SECOND}",
    "a deleted row": f"DELETE FROM checkpoints WHERE day = {SECOND} AND of_users",
    "a deleted checkpoint": f"DELETE FROM checkpoints WHERE day = {SECOND}",
    "the first one deleted": f"DELETE FROM checkpoints WHERE day = {FIRST}",
    "an inserted row": "INSERT INTO checkpoints (day, of_users, code, asset, environment, debits, credits) "
    f"SELECT day, of_users, 'mine', asset, environment, '0', '5' FROM checkpoints WHERE day = {SECOND} "
    "AND of_users",
    "an inserted checkpoint": "INSERT INTO checkpoints (day, of_users, code, asset, environment, debits, credits) "
    "SELECT '2026-03-03', of_users, code, asset, environment, debits, credits "
    f"FROM checkpoints WHERE day = {SECOND}",
    "one before everything": "INSERT INTO checkpoints (day, of_users, code, asset, environment, debits, credits) "
    "SELECT '1969-01-01', of_users, code, asset, environment, debits, credits "
    f"FROM checkpoints WHERE day = {SECOND}",
    "one after everything": "INSERT INTO checkpoints (day, of_users, code, asset, environment, debits, credits) "
    "SELECT '2031-01-01', of_users, code, asset, environment, debits, credits "
    f"FROM checkpoints WHERE day = {SEVENTH}",
}

LATER = START + 30 * DAY
AS_OF = AsOf(LedgerRules(), lambda: LATER)


@pytest.fixture
def ledger(sessions: Sessions) -> Books:
    """Checkpoints of the 1st, 2nd, 4th and 7th of March."""
    books = Books(sessions)
    for days in (0, 1, 3, 6):
        books.issue(10 + days, START + days * DAY)
    books.work(LATER)
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
        ledger.work(LATER)
        assert ledger.audited() == []
    assert missed == []


def test_the_first_that_differs_is_the_one_named(ledger: Books) -> None:
    ledger.run(f"UPDATE checkpoints SET debits = '1' WHERE day = {FOURTH} AND code = 'issuance'")
    ledger.run(EDITS["debits"])
    assert ledger.audited() == [
        "checkpoint 2026-03-02 the house's issuance in coin live: 1 out and 0 in, must be 21 out and 0 in; "
        "after the cause is found, `tillbook recount-checkpoints 2026-03-02`"
    ]


def test_it_is_a_finding_of_the_whole_audit(ledger: Books) -> None:
    ledger.run(EDITS["a deleted checkpoint"])
    assert [(found.what, found.detail) for found in run.audit(ledger.sessions, AS_OF)] == [
        ("checkpoint", "2026-03-02 is missing; after the cause is found, `tillbook recount-checkpoints 2026-03-02`")
    ]


@pytest.mark.one_database
def test_a_transfer_that_was_deleted_is_missing_in_its_checkpoint(ledger: Books) -> None:
    on = " ON transfers" if ledger.sessions.kw["bind"].dialect.name == "postgresql" else ""
    ledger.run(f"DROP TRIGGER transfers_no_delete{on}")
    ledger.run("/* sweep: audit */ DELETE FROM transfers WHERE amount = 11")
    (found,) = ledger.audited()
    assert found.startswith("checkpoint 2026-03-02 must not be: nothing was booked on that day")


def test_that_the_newest_are_missing_is_no_finding_for_they_are_written_again(ledger: Books) -> None:
    right = ledger.stored()
    ledger.run(f"DELETE FROM checkpoints WHERE day >= {FOURTH}")
    assert ledger.audited() == []
    ledger.work(LATER)
    assert ledger.stored() == right
