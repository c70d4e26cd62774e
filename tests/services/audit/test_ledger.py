"""The audit itself: it is resumed where it stopped, it survives what it cannot read, and it proves the counters."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from app.domain.ledger import Lot, Posted
from app.domain.limits import LedgerRules, SpendLimit
from app.domain.spending import Capture, HoldRequest, Spend, debit
from app.services.audit.ledger import TELL_EVERY, AsOf, AuditState, Watch, audit_ledger, audit_slot
from app.services.base.transaction import Sessions
from app.services.ledger import clawback, spend
from app.services.ledger.batches import book_batch
from app.services.ledger.hold_rows import Held
from app.services.ledger.holds import capture, hold, release
from app.services.ledger.reversals import Reverse, reverse
from tests.support.wallet_owner import DAY, HOUR, NOW, WalletOwner, code

AS_OF = AsOf(LedgerRules(), lambda: NOW)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
BLINK = timedelta(milliseconds=50)


def test_the_audit_can_be_stopped_and_resumed_after_each_slot(owner: WalletOwner) -> None:
    owner.credit(5)
    owner.do(hold, HoldRequest(owner.user, "coin", 2, "h", 60))
    whole = AuditState()
    state = AuditState()
    for slot in sorted(WalletOwner._slots):
        audit_slot(owner.sessions, slot, whole, as_of=AS_OF)
        assert json.loads(state.to_json())["transfers"] == state.transfers
        state = AuditState.from_json(state.to_json())
        audit_slot(owner.sessions, slot, state, as_of=AS_OF)
    assert state == whole
    assert state.transfers > 0
    assert uuid.UUID(state.seal[:32])


def test_the_seal_changes_with_every_mark(owner: WalletOwner) -> None:
    def seal() -> str:
        state = AuditState()
        audit_slot(owner.sessions, owner.slot, state, as_of=AS_OF)
        return state.seal

    owner.credit(5)
    seals = [seal()]
    assert code(owner.spend(6)) == "insufficient_funds"
    seals.append(seal())
    owner.do(hold, HoldRequest(owner.user, "coin", 2, "h", 60))
    seals.append(seal())
    assert len(set(seals)) == 3


def test_the_whole_audit_walks_all_slots_and_tells_how_far_it_is(books: Sessions) -> None:
    owners = [WalletOwner(books) for _ in range(3)]
    for owner in owners:
        owner.credit(5)
    seen: list[int] = []
    total: list[int] = []
    proved: list[int] = []
    start = min(owner.slot for owner in owners)
    watch = Watch(total.append, proved.append, lambda state: seen.append(state.next_slot))
    state = audit_ledger(books, as_of=AS_OF, state=AuditState(next_slot=start), watch=watch)
    assert {owner.slot + 1 for owner in owners} <= set(seen)
    assert seen == sorted(seen)
    assert state.done
    assert total == [sum(proved)] == [state.transfers]
    assert max(proved) <= TELL_EVERY


def test_a_row_that_cannot_be_read_is_a_finding_and_the_audit_goes_on(owner: WalletOwner) -> None:
    engine: Engine = owner.sessions.kw["bind"]
    if engine.dialect.name != "sqlite":
        pytest.skip("the columns of other engines keep out what is no JSON")
    owner.credit(5)
    owner.spend(6)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER refusals_no_update")
        connection.execute(text("UPDATE refusals SET details = '{' WHERE slot = :slot"), {"slot": owner.slot})
    assert [finding.partition(":")[0] for finding in owner.findings()] == [f"slots {owner.slot}"]
    with engine.begin() as connection:  # other tests count what is proved in all slots
        connection.execute(text("UPDATE refusals SET details = '{}' WHERE slot = :slot"), {"slot": owner.slot})


# --- the counters of the spend limits ---


def _counted(owner: WalletOwner) -> tuple[int, int]:
    """What counts today and this month, as stored."""
    query = text("SELECT day_spent, month_spent FROM accounts WHERE slot = :slot AND code = 'wallet'")
    with owner.sessions() as session:
        row = session.execute(query, {"slot": owner.slot}).one()
    return row.day_spent, row.month_spent


def _proves(owner: WalletOwner, day: int, month: int) -> None:
    """The counters are that, the audit agrees, and it would not agree with anything else."""
    assert _counted(owner) == (day, month)
    assert owner.findings() == []
    engine: Engine = owner.sessions.kw["bind"]
    for column in ("day_spent", "month_spent"):
        for change in (1, -1):
            _add(engine, owner.slot, column, change)
            assert [finding.split(": ")[1].split()[0] for finding in owner.findings()] == [column]
            _add(engine, owner.slot, column, -change)


def _add(engine: Engine, slot: int, column: str, change: int) -> None:
    edit = f"UPDATE accounts SET {column} = {column} + :change WHERE slot = :slot AND code = 'wallet'"
    with engine.begin() as connection:
        connection.execute(text(edit), {"slot": slot, "change": change})


def _held(owner: WalletOwner, amount: int, key: str) -> uuid.UUID:
    held = owner.do(hold, HoldRequest(owner.user, "coin", amount, key, 7 * 24 * 3600))
    assert isinstance(held, Held)
    return held.id


def test_a_hold_of_yesterday_that_is_released_today_counts_no_more_this_month(owner: WalletOwner) -> None:
    owner.credit(100)
    old = _held(owner, 30, "old")
    owner.now += DAY
    owner.spend(7)
    _proves(owner, 7, 37)
    owner.do(release, old)
    _proves(owner, 7, 7)


def test_captures_do_not_count_again_and_what_they_give_back_counts_no_more(owner: WalletOwner) -> None:
    owner.credit(100)
    held = _held(owner, 30, "h")
    owner.do(capture, Capture(held, "first", 10))
    _proves(owner, 30, 30)
    owner.do(capture, Capture(held, "last", 5, final=True))
    _proves(owner, 15, 15)


def test_a_reversal_uncounts_the_day_of_the_spend_and_not_its_own(owner: WalletOwner) -> None:
    owner.credit(100)
    old = owner.spend(20)
    owner.now += DAY
    new = owner.spend(9)
    assert isinstance(old, Posted)
    assert isinstance(new, Posted)
    owner.do(reverse, Reverse(old.id, "r1", "mistake", "ann"))
    owner.do(reverse, Reverse(new.id, "r2", "mistake", "ann", 4))
    _proves(owner, 5, 5)


def test_debits_by_operators_and_holds_of_refunds_do_not_count(owner: WalletOwner) -> None:
    owner.credit(100)
    owner.do(spend, debit(owner.user, "coin", 40, "d", reason="fraud", actor="ann"))
    owner.do(clawback.reserve, owner.wallet(), 10, 1)
    owner.spend(3)
    _proves(owner, 3, 3)
    owner.do(clawback.release_reserved, owner.wallet(), 1)
    _proves(owner, 3, 3)


def test_spends_from_several_lots_and_in_batches_count_like_others(owner: WalletOwner) -> None:
    for amount in (5, 6, 7):
        owner.credit(amount, lot=Lot(bonus=True))
    items = [Spend(owner.user, "coin", amount, f"b{amount}") for amount in (4, 8, 100)]
    result = owner.books.transact(lambda tx: book_batch(tx, items, all_or_nothing=False))
    assert [code(answer) for answer in result.answers] == ["", "", "insufficient_funds"]
    _proves(owner, 12, 12)


def test_the_counter_of_a_past_day_has_no_effect_and_is_not_compared(owner: WalletOwner) -> None:
    owner.credit(100)
    owner.spend(20)
    owner.now += 40 * DAY
    _add(owner.sessions.kw["bind"], owner.slot, "day_spent", -5)
    assert owner.findings() == []


def test_clocks_that_differ_at_midnight_leave_counters_that_can_be_proved(owner: WalletOwner) -> None:
    """The day of a spend is the day of its posting, and a wallet's postings never go back in time."""
    owner.credit(100)
    owner.now = MIDNIGHT - HOUR
    owner.spend(1)
    owner.now = MIDNIGHT + BLINK
    owner.spend(5)
    owner.now = MIDNIGHT - BLINK
    owner.spend(3)
    _held(owner, 2, "h")
    owner.now = MIDNIGHT + HOUR
    _proves(owner, 8, 11)


def test_a_clock_that_is_behind_at_midnight_does_not_lift_the_limit(books: Sessions) -> None:
    owner = WalletOwner(books, LedgerRules(limits={"coin": SpendLimit(day=10)}))
    owner.credit(100)
    owner.now = MIDNIGHT + BLINK
    assert code(owner.spend(10)) == ""
    owner.now = MIDNIGHT - BLINK
    assert code(owner.spend(1)) == "spend_limit"
    owner.now = MIDNIGHT + HOUR
    assert code(owner.spend(1)) == "spend_limit"
    assert owner.findings() == []


def test_after_a_change_of_the_zone_what_began_before_is_not_compared(owner: WalletOwner) -> None:
    owner.credit(100)
    owner.now = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)
    owner.spend(4)
    owner.now = datetime(2026, 3, 1, 17, tzinfo=UTC)  # 1 o'clock of 2 March in Shanghai
    owner.spend(3)
    shanghai = ZoneInfo("Asia/Shanghai")
    owner.rules = LedgerRules(zone=shanghai)
    assert owner.findings(), "in the new zone the spends were on other days"
    owner.rules = LedgerRules(zone=shanghai, zone_since=owner.now)
    assert owner.findings() == []
