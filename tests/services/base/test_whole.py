"""Two databases read as one answer as one database with all the rows would."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, Select, bindparam, delete, func, insert, select, union_all, update
from sqlalchemy.orm import sessionmaker

from app.domain.chart import HOUSE_SLOT
from app.domain.numbers import SLOTS
from app.models.orders import User
from app.models.recognition import PROGRESS
from app.models.slot_guard import sweep
from app.services.base.errors import SlotsFrozen
from app.services.base.merged_answers import CannotBeSummed
from app.services.base.statements import Statement, Transaction
from app.services.base.transaction import Sessions, read, transact
from app.services.base.whole import LeftOut, WholeEngine
from tests.support.databases import sessions_for
from tests.support.two_databases import HALF
from tests.support.world import START

USERS = User.__table__
_u = USERS.c
_BOTH = union_all(
    select(_u.token.label("name")).where(_u.slot < 100), select(_u.token.label("name")).where(_u.slot >= 100)
).subquery("both")
FORMS: dict[str, Select[Any]] = {
    "each row": select(_u.slot, _u.id).order_by(_u.slot),
    "downwards": select(_u.slot, _u.token, _u.created_at).order_by(_u.created_at.desc(), _u.token),
    "by what may be nothing": select(_u.token, _u.consented_at).order_by(_u.consented_at, _u.token),
    "by what may be nothing, downwards": select(_u.token, _u.consented_at).order_by(_u.consented_at.desc(), _u.token),
    "the first": select(_u.token).order_by(_u.token).limit(5),
    "the first, as many as a value says": select(_u.token).order_by(_u.token).limit(bindparam("most")),
    "by a named value": select(_u.token.label("who")).order_by(_u.token.label("who").desc()).limit(7),
    "how many": select(func.count()).select_from(USERS),
    "how many of each": select(_u.created_at, func.count().label("n")).group_by(_u.created_at).order_by(_u.created_at),
    "the least and the last": select(func.min(_u.created_at), func.max(_u.consented_at)),
    "a sum, or none": select(func.coalesce(func.sum(_u.slot), 0)),
    "the last of nobody, or none": select(func.coalesce(func.max(_u.slot), -1)).where(_u.id == "nobody"),
    "whether any": select(select(_u.id).where(_u.id == "user-3").exists()),
    "each value once": select(_u.created_at).distinct().order_by(_u.created_at),
    "two lists as one": select(_BOTH).order_by(_BOTH.c.name),
}


def users() -> list[dict[str, Any]]:
    """Some in each half, and the user of one half in the order before, between and behind those of the other."""
    return [
        {
            "slot": number * 37 % SLOTS,
            "id": f"user-{number}",
            "token": uuid.UUID(int=number << 12 | number * 37 % SLOTS),
            "consented_at": None if number % 3 else START + timedelta(hours=number),
            "created_at": START + timedelta(days=number % 5),
        }
        for number in range(120)
    ]


@pytest.fixture
def parts(engine: Engine, second_engine: Engine) -> tuple[Engine, Engine]:
    return engine, second_engine


def whole_of(parts: tuple[Engine, Engine]) -> Sessions:
    engine: Any = WholeEngine(parts, lambda slot: slot // HALF)
    return sessionmaker(engine)


def put(engine: Engine, rows: list[dict[str, Any]]) -> None:
    def work(tx: Transaction) -> None:
        tx.of_several_slots("batch")
        tx.execute(delete(USERS).where(_u.slot >= 0).prefix_with(sweep("operator")))
        if rows:
            tx.execute(insert(USERS), rows)

    transact(sessions_for(engine), work)


def answer(sessions: Sessions, form: Select[Any]) -> list[tuple[Any, ...]]:
    marked = form.prefix_with(sweep("audit"))
    return read(sessions, lambda tx: [tuple(row) for row in tx.execute(marked, {"most": 9}).all()], snapshot=True)


def test_each_form_of_statement_gives_what_one_database_gives(parts: tuple[Engine, Engine]) -> None:
    rows = users()
    put(parts[0], rows)
    wanted = {name: answer(sessions_for(parts[0]), form) for name, form in FORMS.items()}
    put(parts[0], [row for row in rows if row["slot"] < HALF])
    put(parts[1], [row for row in rows if row["slot"] >= HALF])
    assert {name: answer(whole_of(parts), form) for name, form in FORMS.items()} == wanted


def test_a_statement_that_is_given_its_slot_is_answered_by_its_database(parts: tuple[Engine, Engine]) -> None:
    put(parts[1], [row for row in users() if row["slot"] >= HALF])
    there = next(row for row in users() if row["slot"] >= HALF)
    by_value = select(_u.id).where(_u.slot == there["slot"])
    by_driver = Statement(select(_u.id).where(_u.slot == bindparam("slot")))
    assert read(whole_of(parts), lambda tx: tx.scalar(by_value)) == there["id"]
    assert read(whole_of(parts), lambda tx: by_driver.row(tx, {"slot": there["slot"]})) == (there["id"],)


@pytest.mark.parametrize(
    "refused",
    [
        select(_u.created_at).group_by(_u.created_at).having(func.count() > 1),
        select(_u.id, func.count()).group_by(_u.id).having(func.count() > 1),
        select(func.avg(_u.slot) + func.sum(_u.slot)),
        select(_u.id).order_by(_u.created_at),
        select(_u.id).order_by(_u.id),
        select(_u.token).order_by(_u.token).offset(3),
        select(select(_u.created_at, func.count().label("n")).group_by(_u.created_at).subquery()),
        select(_u.id, PROGRESS.c.rules).join_from(USERS, PROGRESS, _u.id == PROGRESS.c.rules),
    ],
)
def test_what_cannot_be_put_together_is_refused(parts: tuple[Engine, Engine], refused: Select[Any]) -> None:
    with pytest.raises(CannotBeSummed):
        read(whole_of(parts), lambda tx: tx.execute(refused.prefix_with(sweep("audit"))).all())


def changed(tx: Transaction) -> None:
    tx.execute(update(USERS).where(_u.slot == SLOTS - 1).values(consented_at=START))


def changed_by_driver(tx: Transaction) -> None:
    Statement(update(USERS).where(_u.slot == bindparam("slot")).values(consented_at=START)).run(tx, {"slot": SLOTS - 1})


def locked(tx: Transaction) -> None:
    Statement(select(_u.id).where(_u.slot == bindparam("slot")).with_for_update()).run(tx, {"slot": SLOTS - 1})


@pytest.mark.parametrize("away", [changed, changed_by_driver])
def test_only_what_lies_at_home_is_changed(parts: tuple[Engine, Engine], away: Callable[[Transaction], None]) -> None:
    with pytest.raises(CannotBeSummed):
        transact(whole_of(parts), away)
    at_home = update(USERS).where(_u.slot == HOUSE_SLOT).values(consented_at=START)
    transact(whole_of(parts), lambda tx: tx.execute(at_home))


def test_a_lock_away_from_home_is_refused(parts: tuple[Engine, Engine]) -> None:
    if parts[0].dialect.name == "sqlite":
        pytest.skip("SQLite locks no rows")
    with pytest.raises(CannotBeSummed):
        transact(whole_of(parts), locked)


def test_what_is_left_out_is_not_found_and_a_count_of_moved_slots_is_refused(parts: tuple[Engine, Engine]) -> None:
    rows = users()
    first, second = ([row for row in rows if row["slot"] // HALF == half] for half in (0, 1))
    moved = first[3]["slot"]
    put(parts[0], first)
    put(parts[1], [*second, first[3]])  # copied, and not deleted yet

    def left_out(**what: frozenset[int]) -> Sessions:
        engine: Any = WholeEngine(parts, lambda slot: slot // HALF, LeftOut(**what))
        return sessionmaker(engine)

    each, count = FORMS["each row"], FORMS["how many"]
    without = left_out(slots=frozenset({moved}))
    assert answer(without, each) == sorted((row["slot"], row["id"]) for row in rows if row["slot"] != moved)
    with pytest.raises(SlotsFrozen):
        answer(without, count)
    alone = left_out(databases=frozenset({1}))
    assert answer(alone, each) == sorted((row["slot"], row["id"]) for row in first)
    assert answer(alone, count) == [(len(first),)]
    for sessions, slot, found in ((without, moved, []), (alone, second[0]["slot"], []), (alone, moved, [(moved,)])):
        one = select(_u.slot).where(_u.slot == slot)
        assert read(sessions, lambda tx, one=one: [tuple(row) for row in tx.execute(one)]) == found
