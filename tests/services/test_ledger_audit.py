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
from app.services.audit.ledger import TELL_EVERY, AsOf, AuditState, Watch, audit, audit_slot
from app.services.base.transaction import Sessions, transact
from app.services.ledger import clawback, spend
from app.services.ledger.batches import book_batch
from app.services.ledger.hold_rows import Held
from app.services.ledger.holds import capture, hold, release
from app.services.ledger.reversals import Reverse, reverse
from tests.services.ledger_world import DAY, HOUR, NOW, World, code

AS_OF = AsOf(LedgerRules(), lambda: NOW)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
BLINK = timedelta(milliseconds=50)


def test_the_audit_can_be_stopped_and_resumed_after_each_slot(world: World) -> None:
    world.credit(5)
    world.do(hold, HoldRequest(world.user, "coin", 2, "h", 60))
    whole = AuditState()
    state = AuditState()
    for slot in sorted(World._slots):
        audit_slot(world.sessions, slot, whole, as_of=AS_OF)
        assert json.loads(state.to_json())["transfers"] == state.transfers
        state = AuditState.from_json(state.to_json())
        audit_slot(world.sessions, slot, state, as_of=AS_OF)
    assert state == whole
    assert state.transfers > 0
    assert uuid.UUID(state.seal[:32])


def test_the_seal_changes_with_every_mark(world: World) -> None:
    def seal() -> str:
        state = AuditState()
        audit_slot(world.sessions, world.slot, state, as_of=AS_OF)
        return state.seal

    world.credit(5)
    seals = [seal()]
    assert code(world.spend(6)) == "insufficient_funds"
    seals.append(seal())
    world.do(hold, HoldRequest(world.user, "coin", 2, "h", 60))
    seals.append(seal())
    assert len(set(seals)) == 3


def test_the_whole_audit_walks_all_slots_and_tells_how_far_it_is(books: Sessions) -> None:
    worlds = [World(books) for _ in range(3)]
    for world in worlds:
        world.credit(5)
    seen: list[int] = []
    total: list[int] = []
    proved: list[int] = []
    start = min(world.slot for world in worlds)
    watch = Watch(total.append, proved.append, lambda state: seen.append(state.next_slot))
    state = audit(books, as_of=AS_OF, state=AuditState(next_slot=start), watch=watch)
    assert {world.slot + 1 for world in worlds} <= set(seen)
    assert seen == sorted(seen)
    assert state.done
    assert total == [sum(proved)] == [state.transfers]
    assert max(proved) <= TELL_EVERY


def test_a_row_that_cannot_be_read_is_a_finding_and_the_audit_goes_on(world: World) -> None:
    engine: Engine = world.sessions.kw["bind"]
    if engine.dialect.name != "sqlite":
        pytest.skip("the columns of other engines keep out what is no JSON")
    world.credit(5)
    world.spend(6)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER refusals_no_update")
        connection.execute(text("UPDATE refusals SET details = '{' WHERE slot = :slot"), {"slot": world.slot})
    assert [finding.partition(":")[0] for finding in world.findings()] == [f"slots {world.slot}"]
    with engine.begin() as connection:  # other tests count what is proved in all slots
        connection.execute(text("UPDATE refusals SET details = '{}' WHERE slot = :slot"), {"slot": world.slot})


# --- the counters of the spend limits ---


def _counted(world: World) -> tuple[int, int]:
    """What counts today and this month, as stored."""
    query = text("SELECT day_spent, month_spent FROM accounts WHERE slot = :slot AND code = 'wallet'")
    with world.sessions() as session:
        row = session.execute(query, {"slot": world.slot}).one()
    return row.day_spent, row.month_spent


def _proves(world: World, day: int, month: int) -> None:
    """The counters are that, the audit agrees, and it would not agree with anything else."""
    assert _counted(world) == (day, month)
    assert world.findings() == []
    engine: Engine = world.sessions.kw["bind"]
    for column in ("day_spent", "month_spent"):
        for change in (1, -1):
            _add(engine, world.slot, column, change)
            assert [finding.split(": ")[1].split()[0] for finding in world.findings()] == [column]
            _add(engine, world.slot, column, -change)


def _add(engine: Engine, slot: int, column: str, change: int) -> None:
    edit = f"UPDATE accounts SET {column} = {column} + :change WHERE slot = :slot AND code = 'wallet'"
    with engine.begin() as connection:
        connection.execute(text(edit), {"slot": slot, "change": change})


def _held(world: World, amount: int, key: str) -> uuid.UUID:
    held = world.do(hold, HoldRequest(world.user, "coin", amount, key, 7 * 24 * 3600))
    assert isinstance(held, Held)
    return held.id


def test_a_hold_of_yesterday_that_is_released_today_counts_no_more_this_month(world: World) -> None:
    world.credit(100)
    old = _held(world, 30, "old")
    world.now += DAY
    world.spend(7)
    _proves(world, 7, 37)
    world.do(release, old)
    _proves(world, 7, 7)


def test_captures_do_not_count_again_and_what_they_give_back_counts_no_more(world: World) -> None:
    world.credit(100)
    held = _held(world, 30, "h")
    world.do(capture, Capture(held, "first", 10))
    _proves(world, 30, 30)
    world.do(capture, Capture(held, "last", 5, final=True))
    _proves(world, 15, 15)


def test_a_reversal_uncounts_the_day_of_the_spend_and_not_its_own(world: World) -> None:
    world.credit(100)
    old = world.spend(20)
    world.now += DAY
    new = world.spend(9)
    assert isinstance(old, Posted)
    assert isinstance(new, Posted)
    world.do(reverse, Reverse(old.id, "r1", "mistake", "ann"))
    world.do(reverse, Reverse(new.id, "r2", "mistake", "ann", 4))
    _proves(world, 5, 5)


def test_debits_by_operators_and_holds_of_refunds_do_not_count(world: World) -> None:
    world.credit(100)
    world.do(spend, debit(world.user, "coin", 40, "d", reason="fraud", actor="ann"))
    world.do(clawback.reserve, world.wallet(), 10, key="1:coin", reference="1")
    world.spend(3)
    _proves(world, 3, 3)
    wallet = clawback.hold_id(world.slot, world.user, "1:coin")
    world.do(clawback.release, world.wallet(), [wallet])
    _proves(world, 3, 3)


def test_spends_from_several_lots_and_in_batches_count_like_others(world: World) -> None:
    for amount in (5, 6, 7):
        world.credit(amount, lot=Lot(bonus=True))
    items = [Spend(world.user, "coin", amount, f"b{amount}") for amount in (4, 8, 100)]
    result = transact(world.sessions, lambda session: book_batch(session, items, at=world.now, all_or_nothing=False))
    assert [code(answer) for answer in result.answers] == ["", "", "insufficient_funds"]
    _proves(world, 12, 12)


def test_the_counter_of_a_past_day_has_no_effect_and_is_not_compared(world: World) -> None:
    world.credit(100)
    world.spend(20)
    world.now += 40 * DAY
    _add(world.sessions.kw["bind"], world.slot, "day_spent", -5)
    assert world.findings() == []


def test_clocks_that_differ_at_midnight_leave_counters_that_can_be_proved(world: World) -> None:
    """The day of a spend is the day of its posting, and a wallet's postings never go back in time."""
    world.credit(100)
    world.now = MIDNIGHT - HOUR
    world.spend(1)
    world.now = MIDNIGHT + BLINK
    world.spend(5)
    world.now = MIDNIGHT - BLINK
    world.spend(3)
    _held(world, 2, "h")
    world.now = MIDNIGHT + HOUR
    _proves(world, 8, 11)


def test_a_clock_that_is_behind_at_midnight_does_not_lift_the_limit(books: Sessions) -> None:
    world = World(books, LedgerRules(limits={"coin": SpendLimit(day=10)}))
    world.credit(100)
    world.now = MIDNIGHT + BLINK
    assert code(world.spend(10)) == ""
    world.now = MIDNIGHT - BLINK
    assert code(world.spend(1)) == "spend_limit"
    world.now = MIDNIGHT + HOUR
    assert code(world.spend(1)) == "spend_limit"
    assert world.findings() == []


def test_after_a_change_of_the_zone_what_began_before_is_not_compared(world: World) -> None:
    world.credit(100)
    world.now = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)
    world.spend(4)
    world.now = datetime(2026, 3, 1, 17, tzinfo=UTC)  # 1 o'clock of 2 March in Shanghai
    world.spend(3)
    shanghai = ZoneInfo("Asia/Shanghai")
    world.rules = LedgerRules(zone=shanghai)
    assert world.findings(), "in the new zone the spends were on other days"
    world.rules = LedgerRules(zone=shanghai, zone_since=world.now)
    assert world.findings() == []
