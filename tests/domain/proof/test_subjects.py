"""Holds, refusals and freezings against the marks that tell of them, without a database."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.account_events import (
    EXPIRED,
    FINISHED,
    FROZEN,
    HELD,
    LOWERED,
    REFUSED,
    RELEASED,
    RESERVED,
    UNFROZEN,
    Freezing,
    refusal_content,
)
from app.domain.ledger import microseconds, system, wallet
from app.domain.limits import LedgerRules
from app.domain.proof.counters import Counted, Today
from app.domain.proof.events import StoredHold, StoredMark, StoredRefusal, Subject, SubjectProof
from app.domain.spending import hold_fingerprint

KEY, AT = uuid.UUID(int=5), datetime(2026, 3, 1, 12, tzinfo=UTC)
ALICE, BOB = wallet("alice", "coin"), wallet("bob", "coin")
NAMES = {1: ALICE, 2: BOB, 3: system("revenue", "coin")}
WEEK = timedelta(days=7)
PRINT = hold_fingerprint(KEY, ALICE, 50, microseconds(AT + WEEK) - microseconds(AT), ("trade", "", "ann"))
HOLD = StoredHold(KEY, 1, 50, 0, 0, "open", AT + WEEK, "trade", "", "ann", AT, PRINT, True)
REFUSAL = StoredRefusal(KEY, b"f" * 32, "insufficient_funds", {"available": 3, "wanted": 9}, AT)
FREEZING = Freezing(5, "alice", "coin", "live", True, "a look at it", "operator:ann", None, AT)


def mark(kind: str, amount: int = 0, content: bytes = b"", account: int = 1) -> StoredMark:
    return StoredMark(account, 1, kind, KEY, amount, AT, content, b"")


def hold(*gone: StoredMark, captured: int = 0, made: str = HELD, **row: Any) -> Subject:
    """A hold of 50 of Alice's coins, what let go of it, and its row."""
    captures = Counter({1: captured}) if captured else Counter[int]()
    stored = HOLD._replace(**{"captured": captured, **row})
    return Subject([mark(made, 50, PRINT), *gone], [stored], captures)


def refused(content: bytes | None = None, **row: Any) -> Subject:
    told = refusal_content(REFUSAL.fingerprint, REFUSAL.code, REFUSAL.details) if content is None else content
    return Subject([mark(REFUSED, 9, told)], refusals=[REFUSAL._replace(**row)])


def freezing(entry: Freezing = FREEZING, account: int = 1) -> Subject:
    return Subject([mark(FROZEN, 0, FREEZING.content(), account)], freezings=[entry])


class Proved:
    """What the proof says of one subject."""

    def __init__(self, subject: Subject) -> None:
        self.findings: list[str] = []
        self.counted = Counted(Today.at(AT, LedgerRules()))
        proof = SubjectProof(
            NAMES, lambda _account: self.counted, lambda table, _row, what: self.findings.append(f"{table}: {what}")
        )
        proof.check(KEY, subject)
        self.held = proof.held


@pytest.mark.parametrize(
    ("subject", "held", "counted"),
    [
        (hold(), 50, 50),
        (hold(mark(LOWERED, 20), released=20), 30, 30),
        (hold(captured=30), 20, 50),
        (hold(mark(RELEASED, 50), released=50, state="released"), 0, 0),
        (hold(mark(LOWERED, 20), mark(EXPIRED, 30), released=50, state="expired"), 0, 0),
        (hold(mark(FINISHED, 20), captured=30, released=20, state="captured"), 0, 30),
        (hold(made=RESERVED, limited=False), 50, 0),
    ],
)
def test_a_hold_reserves_what_is_left_and_counts_what_did_not_come_back(
    subject: Subject, held: int, counted: int
) -> None:
    proved = Proved(subject)
    assert proved.findings == []
    assert (proved.held, sum(proved.counted.days.values())) == ({1: held}, counted)


def test_a_hold_that_was_captured_to_the_last_coin_is_captured() -> None:
    assert Proved(hold(captured=50, state="captured")).findings == []
    assert Proved(hold(captured=50)).findings == ["holds: it is open, derived captured"]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"account": 2}, "it is not as it was made"),
        ({"amount": 51}, "it is not as it was made"),
        ({"created_at": AT + WEEK}, "it is not as it was made"),
        ({"fingerprint": b"x"}, "it is not as it was made"),
        ({"limited": False}, "it is not as it was made"),
        ({"expires_at": AT}, "its content does not give its fingerprint"),
        ({"reference": "x"}, "its content does not give its fingerprint"),
        ({"note": "x"}, "its content does not give its fingerprint"),
        ({"actor": "x"}, "its content does not give its fingerprint"),
        ({"released": 1}, "released 1, derived 0"),
        ({"state": "released"}, "it is released, derived open"),
    ],
)
def test_an_edited_column_of_a_hold_is_named_and_changes_nothing_of_what_is_reserved(
    change: dict[str, Any], finding: str
) -> None:
    proved = Proved(hold(**change))
    assert f"holds: {finding}" in proved.findings
    assert proved.held == {1: 50}


def test_a_row_that_tells_of_a_capture_that_never_was_is_named() -> None:
    told = Subject([mark(HELD, 50, PRINT)], [HOLD._replace(captured=1)])
    assert Proved(told).findings == ["holds: captured 1, derived 0"]


def test_a_hold_without_its_row_is_missing_and_still_reserves() -> None:
    proved = Proved(Subject([mark(HELD, 50, PRINT)]))
    assert proved.findings == ["holds: it is missing, but was made or captured"]
    assert proved.held == {1: 50}


def test_a_hold_that_nobody_made_is_found() -> None:
    assert Proved(Subject(holds=[HOLD])).findings == ["holds: it is not as it was made"]


def test_a_capture_from_another_account_is_found() -> None:
    subject = Subject([mark(HELD, 50, PRINT)], [HOLD._replace(captured=9)], Counter({2: 9}))
    assert Proved(subject).findings == ["holds: it was captured from another account"]


def test_a_refusal_is_what_was_refused_whatever_the_order_of_its_details() -> None:
    assert Proved(refused()).findings == []
    assert Proved(refused(details={"wanted": 9, "available": 3})).findings == []


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": b"g" * 32},
        {"code": "frozen"},
        {"details": {"available": 4, "wanted": 9}},
        {"created_at": AT + WEEK},
    ],
    ids=str,
)
def test_an_edited_column_of_a_refusal_is_named(change: dict[str, Any]) -> None:
    assert Proved(refused(**change)).findings == ["refusals: it is not what was refused"]


def test_a_refusal_without_mark_and_a_mark_without_refusal_are_found() -> None:
    assert Proved(Subject(refusals=[REFUSAL])).findings == ["refusals: nobody refused that"]
    assert Proved(Subject([mark(REFUSED)])).findings == ["refusals: it is missing"]


def test_no_request_is_refused_and_granted() -> None:
    granted, declined = hold(), refused()
    together = Subject([*granted.marks, *declined.marks], granted.holds, granted.captures, declined.refusals)
    assert Proved(together).findings == ["refusals: the same request was refused and granted"]


def test_a_freezing_is_what_was_done() -> None:
    assert Proved(freezing()).findings == []


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "bob"},
        {"asset": None},
        {"environment": "sandbox"},
        {"frozen": False},
        {"reason": ""},
        {"actor": "operator:bob"},
        {"refund_id": 1},
        {"at": AT + WEEK},
        {"request": uuid.UUID(int=1)},
    ],
    ids=str,
)
def test_an_edited_column_of_a_freezing_is_named(change: dict[str, Any]) -> None:
    assert Proved(freezing(replace(FREEZING, **change))).findings == ["freezes: it is not what was done"]


@pytest.mark.parametrize("account", [2, 3, 9])
def test_a_freezing_of_a_wallet_that_it_does_not_name_is_found(account: int) -> None:
    assert Proved(freezing(account=account)).findings == ["freezes: it is about other wallets"]


def test_a_freezing_without_mark_and_a_mark_without_freezing_are_found() -> None:
    assert Proved(Subject(freezings=[FREEZING])).findings == ["freezes: nobody did that"]
    assert Proved(Subject([mark(UNFROZEN)])).findings == ["freezes: it is missing"]
