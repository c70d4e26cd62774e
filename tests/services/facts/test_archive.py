"""Old rows lose what nobody reads, and stay provable."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from app.domain.limits import LedgerRules
from app.domain.proof.anchors import contents
from app.domain.raw_documents import ARCHIVED, COMPRESSED, words_in
from app.domain.seals import Seals
from app.models.orders import FactRow, Payment
from app.models.slot_guard import sweep
from app.services.audit.anchors import anchor_lines, audit_against
from app.services.base.context import Rules
from app.services.facts.archive import archive_words, drop_requests, wrong_in_archive
from tests.support.facts import paid_fact, told
from tests.support.world import START, World, build_world

DAY = timedelta(days=1)
WORDS = {"trade_no": "T 1", "detail": ["ü", 1, 2.5, None]}
_f, _p = FactRow.__table__.c, Payment.__table__.c


@pytest.fixture
def world(engine: Any, sessions: Any) -> World:
    """Two paid orders, a day apart."""
    rules = Rules(ledger=LedgerRules(seals=Seals(b"a key that is in no database, long enough", since=START)))
    world = build_world(engine, sessions, rules)
    for user in ("alice", "bob"):
        payment_id = world.order(user).payments[0].id
        told(world, paid_fact(world, payment_id, raw={**WORDS, "user": user}))
        world.clock.advance(86_400)
    return world


def facts(world: World) -> list[Any]:
    wanted = select(*_f).prefix_with(sweep("audit")).where(_f.kind == "paid").order_by(_f.recorded_at)
    return list(world.core.whole.read(lambda tx: tx.execute(wanted).all()))


def test_old_words_go_to_the_archive_and_everything_can_still_be_proved(world: World) -> None:
    anchor = [json.dumps(line).encode() for line in anchor_lines(world.core.whole.sessions)]
    lines: list[bytes] = []
    assert sum(archive_words(world.core, START + DAY / 2, lines.extend)) >= 1
    old, young = facts(world)
    assert (old.raw[:1], young.raw[:1]) == (ARCHIVED, COMPRESSED)
    assert len(old.raw) == 33
    told_words = [json.loads(json.loads(line)["words"]) for line in lines]
    assert {**WORDS, "user": "alice"} in told_words
    assert {**WORDS, "user": "bob"} not in told_words
    world.assert_balanced()
    assert list(audit_against(world.core.whole.sessions, contents(anchor))) == []
    assert list(wrong_in_archive(world.core, lines)) == []
    assert sum(archive_words(world.core, START + DAY / 2, lines.extend)) == 0


def test_a_line_that_was_changed_or_belongs_to_another_fact_is_found(world: World) -> None:
    lines: list[bytes] = []
    sum(archive_words(world.core, START + 5 * DAY, lines.extend))
    (mine,) = [line for line in lines if b"alice" in line]
    stranger = {**json.loads(mine), "fact": json.loads(next(line for line in lines if b"bob" in line))["fact"]}
    odd = [mine, mine.replace(b"alice", b"carol"), json.dumps(stranger).encode(), b"{}", b'{"fact":"7","words":"{}"}']
    wrong = list(wrong_in_archive(world.core, odd))
    assert [line.split(":")[0] for line in wrong] == ["line 2", "line 3", "line 4", "line 5"]
    assert "is gone" in wrong[-1]


def test_words_stay_when_the_archive_cannot_be_written_and_the_next_run_goes_on(world: World) -> None:
    def fails(lines: Any) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        sum(archive_words(world.core, START + 5 * DAY, fails))
    assert [words_in(row.raw)["user"] for row in facts(world)] == ["alice", "bob"]
    lines: list[bytes] = []
    sum(archive_words(world.core, START + 5 * DAY, lines.extend))
    assert {row.raw[:1] for row in facts(world)} == {ARCHIVED}


def test_words_of_before_there_were_documents_stay_since_seals_cover_them(world: World) -> None:
    old, _ = facts(world)
    seals, row = world.core.rules.ledger.seals, old._asdict()
    plain = json.dumps(dict(words_in(old.raw))).encode()
    row["raw"] = plain
    here = (_f.slot == old.slot, _f.id == old.id)
    again = update(FactRow).where(*here).values(raw=plain, seal=seals.of_row("facts", row))
    world.core.whole.transact(lambda tx: tx.execute(again))
    sum(archive_words(world.core, START + 5 * DAY, lambda _: None))
    assert facts(world)[0].raw == plain
    world.assert_balanced()


def test_requests_of_payments_that_ended_long_ago_are_dropped_and_open_ones_stay(world: World) -> None:
    done = world.payment(facts(world)[0].payment_id)
    still_open = world.payment(world.order("carol").payments[0].id)
    full = {**still_open.intent, "ours": str(done.id)}
    here = (_p.slot == done.slot, _p.id == done.id)
    as_before = update(Payment).where(*here).values(intent=full, action=still_open.action)
    world.core.whole.transact(lambda tx: tx.execute(as_before))
    assert sum(drop_requests(world.core, world.clock.now() + DAY)) == 1
    assert (world.payment(done.id).intent, world.payment(done.id).action) == ({"product": "coins-60"}, {})
    assert world.payment(still_open.id) == still_open
    assert sum(drop_requests(world.core, world.clock.now() + DAY)) == 0
    again = replace(paid_fact(world, done.id, product="coins-60"), at=START)
    assert told(world, again).outcome == "duplicate"
