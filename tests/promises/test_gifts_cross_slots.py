"""Promise 8 for gifts: no transaction of a gift or a recall touches two slots, and none leaves the slot out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from app.domain.numbers import slot_of_user
from app.providers.facts import Kind
from app.services.ledger import freezes
from tests.conftest import create_schema
from tests.support import databases
from tests.support.friends import Friends, buyer_in, friends_in
from tests.support.world import build_world

ANN, BOB, CEM = USERS = tuple(f"friend-{n}" for n in range(60) if slot_of_user(f"friend-{n}") > 1000)[:3]
"""Users whose slots are greater than any amount in these tests."""


class Traced:
    """Every statement that SQLite ran, with its values, by transaction."""

    def __init__(self, engine: Engine) -> None:
        self.transactions: list[list[str]] = []
        self._open: dict[int, list[str]] = {}
        event.listen(engine, "connect", self._watch)

    def _watch(self, connection: Any, _: Any) -> None:
        connection.set_trace_callback(lambda statement: self._ran(id(connection), statement))

    def _ran(self, connection: int, statement: str) -> None:
        word = statement.split(None, 1)[0].upper() if statement.strip() else ""
        if word == "BEGIN":
            self._open[connection] = []
        elif word in ("COMMIT", "ROLLBACK"):
            self.transactions.append(self._open.pop(connection, []))
        else:
            self._open.setdefault(connection, []).append(statement)


@pytest.fixture
def traced(tmp_path: Path) -> tuple[Friends, Traced]:
    url = f"sqlite:///{tmp_path}/traced.sqlite3"
    create_schema(url)
    with databases.engine_for(url) as engine:
        trace = Traced(engine)
        return friends_in(build_world(engine, databases.sessions_for(engine))), trace


def _slots_touched(transaction: list[str]) -> set[int]:
    """Which of the users' slots stand in the statements that change something. Numbers of gifts are longer."""
    if any("event_feeds" in each for each in transaction):
        return set()  # the worker's relay numbers the events of all slots, by design (ADR 0035)
    changing = [each for each in transaction if re.match(r"\s*(INSERT|UPDATE|DELETE)", each)]
    text = " ".join(changing)
    return {slot_of_user(user) for user in USERS if re.search(rf"\b{slot_of_user(user)}\b", text)}


def test_each_transaction_of_a_gift_and_of_a_recall_writes_in_one_slot(traced: tuple[Friends, Traced]) -> None:
    friends, trace = traced
    slots = {slot_of_user(user) for user in USERS}
    assert len(slots) == len(USERS)
    ann = buyer_in(friends, ANN)
    friends.credit(CEM, 1)
    trace.transactions.clear()
    friends.give(ANN, BOB, 60)
    friends.give(BOB, CEM, 20)
    friends.spend(CEM, 3)
    change = freezes.Change(CEM, "sandbox", "coin", True, "a look at it", "operator:ann")
    friends.world.core.whole.transact(lambda tx: freezes.apply(tx, slot_of_user(CEM), change))
    assert friends.give(BOB, CEM, 5).status == "returned"
    ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    friends.work()
    assert ann.debt == 3, "what was spent out of the given coins"
    written = [_slots_touched(transaction) for transaction in trace.transactions]
    across = [transaction for transaction, slots_ in zip(trace.transactions, written, strict=True) if len(slots_) > 1]
    assert across == []
    assert set().union(*written) == slots
    friends.assert_balanced()
