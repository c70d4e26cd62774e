"""The chain of an account's events, proved without a database."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from app.domain.account_events import FROZEN, UNFROZEN, Mark, first_head
from app.domain.ledger import AccountName, microseconds, system, wallet
from app.domain.proof.events import MarksProof, StoredMark
from app.domain.proof.rows import StoredAccount

SLOT, AT = 7, datetime(2026, 3, 1, tzinfo=UTC)
ALICE = wallet("alice", "coin")


def chain(name: AccountName, *kinds: str) -> list[StoredMark]:
    """Events of the account 1 with a right chain."""
    head, made = first_head(SLOT, name), []
    for number, kind in enumerate(kinds, start=1):
        mark = Mark(kind, uuid.UUID(int=number), 0, microseconds(AT), b"about")
        head = mark.after(head)
        made.append(StoredMark(1, number, kind, mark.subject, 0, AT, b"about", head))
    return made


def account(name: AccountName, events: list[StoredMark], *, frozen: bool) -> StoredAccount:
    head = events[-1].hash if events else None
    nothing = dict.fromkeys(set(StoredAccount._fields), 0)
    told = {"id": 1, "name": name, "frozen": frozen, "marks": len(events), "marks_head": head}
    return StoredAccount(**{**nothing, **told})  # type: ignore[arg-type]


def found(stored: StoredAccount, events: list[StoredMark]) -> list[tuple[str, object, str]]:
    seen: list[tuple[str, object, str]] = []
    proof = MarksProof(SLOT, stored, lambda *finding: seen.append(finding))
    for event in events:
        proof.step(event)
    proof.finish()
    return seen


def test_a_right_chain_is_right() -> None:
    events = chain(ALICE, FROZEN, UNFROZEN, FROZEN)
    assert found(account(ALICE, events, frozen=True), events) == []
    assert found(account(ALICE, [], frozen=False), []) == []


@pytest.mark.parametrize(
    "change", [{"content": b"other"}, {"amount": 1}, {"kind": FROZEN}, {"subject": uuid.UUID(int=9)}]
)
def test_an_edited_event_is_one_finding_and_the_walk_goes_on(change: dict[str, object]) -> None:
    events = chain(ALICE, FROZEN, UNFROZEN, FROZEN)
    stored = account(ALICE, events, frozen=True)
    events[1] = events[1]._replace(**change)  # type: ignore[arg-type]
    assert found(stored, events) == [("marks", "1/2", "its content does not give its hash")]


def test_an_event_that_was_deleted_leaves_a_gap_in_the_numbers() -> None:
    events = chain(ALICE, FROZEN, UNFROZEN, FROZEN)
    stored = account(ALICE, events, frozen=True)
    assert ("marks", "1/3", "number 3 follows 1") in found(stored, [events[0], events[2]])


def test_a_flag_that_no_event_set_is_found() -> None:
    events = chain(ALICE, FROZEN, UNFROZEN)
    assert found(account(ALICE, events, frozen=True), events) == [("accounts", 1, "frozen is not what its marks say")]


def test_an_account_of_the_house_cannot_be_frozen() -> None:
    sales = system("sales", "coin")
    events = chain(sales, FROZEN)
    assert found(account(sales, events, frozen=True), events) == [("marks", "1/1", "no such account is frozen")]


def test_a_chain_moved_to_another_account_does_not_fit() -> None:
    events = chain(wallet("bob", "coin"), FROZEN)
    assert found(account(ALICE, events, frozen=True), events) == [
        ("marks", "1/1", "its content does not give its hash")
    ]
