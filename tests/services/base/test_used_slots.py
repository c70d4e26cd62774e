"""What goes slot by slot asks once which slots are used, and costs nothing for the thousands that are not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Engine, event, select

from app.domain.limits import LedgerRules
from app.domain.numbers import SLOTS, slot_of_user
from app.models.ledger import ACCOUNTS, HOLDS
from app.services.audit.anchors import anchor_lines
from app.services.audit.gifts import audit_gifts
from app.services.audit.ledger import AsOf, audit_ledger
from app.services.base.transaction import Sessions, read
from app.services.base.used_slots import used_slots
from app.services.calls import call_log
from app.services.ledger import checkpoints
from app.services.ledger.trial_balance import trial_balance
from tests.support.wallet_owner import NOW, WalletOwner
from tests.support.world import World


class _Sent(list[str]):
    """The statements that an engine sends, but for a transaction's beginning and settings."""

    def hear(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(("SET ", "BEGIN")):
            self.append(statement)


@contextlib.contextmanager
def _sent(engine: Engine) -> Iterator[_Sent]:
    heard = _Sent()
    event.listen(engine, "before_cursor_execute", heard.hear)
    try:
        yield heard
    finally:
        event.remove(engine, "before_cursor_execute", heard.hear)


def _cost(sessions: Sessions, work: Callable[[], object]) -> int:
    with _sent(sessions.kw["bind"]) as heard:
        work()
    return len(heard)


def test_only_used_slots_are_found_each_once_and_in_order(books: Sessions) -> None:
    owners = [WalletOwner(books) for _ in range(3)]
    for owner in owners:
        owner.credit(5)
    there = {owner.slot for owner in owners}
    parts = [select(ACCOUNTS.c.slot), select(HOLDS.c.slot), select(ACCOUNTS.c.slot)]
    found = read(books, lambda tx: used_slots(tx, "audit", *parts))
    assert [slot for slot in found if slot in there] == sorted(there)
    assert found == sorted(set(found))
    assert read(books, lambda tx: used_slots(tx, "audit", *parts, most=2)) == found[:2]


@pytest.mark.one_database
def test_proofs_and_sums_cost_no_statement_for_an_unused_slot(sessions: Sessions) -> None:
    """One user more costs each proof as many statements as the user before, and the sums none."""
    as_of = AsOf(LedgerRules(), lambda: NOW)
    later = NOW + timedelta(days=3)
    works: dict[str, Callable[[], object]] = {
        "ledger": partial(audit_ledger, sessions, as_of=as_of),
        "gifts": lambda: list(audit_gifts(sessions)),
        "anchor": lambda: list(anchor_lines(sessions)),
        "trial balance": lambda: read(sessions, lambda tx: trial_balance(tx, now=NOW)),
        "checkpoint": lambda: checkpoints.recount(sessions, NOW.date(), now=later),
    }
    costs: list[dict[str, int]] = []
    for _ in range(4):
        WalletOwner(sessions).credit(5)
        costs.append({name: _cost(sessions, work) for name, work in works.items()})
    for name in works:
        first, second, third, fourth = (cost[name] for cost in costs)
        assert fourth - third == third - second == second - first, name
        assert fourth < 100, f"{name}: {fourth} statements for four of {SLOTS} slots"
    assert costs[0]["trial balance"] == costs[3]["trial balance"]
    assert costs[0]["checkpoint"] == costs[3]["checkpoint"]


@pytest.mark.one_database
def test_a_look_for_old_calls_is_one_statement_and_one_more_for_each_slot_that_has_any(
    world: World, sessions: Sessions
) -> None:
    users = ("alice", "bob", "carol")
    for user in users:
        world.order(user, key=user)
    assert len({slot_of_user(user) for user in users}) == len(users)
    assert _cost(sessions, lambda: call_log.delete_old_calls(world.core)) == 1
    world.clock.advance(world.core.rules.call_days * 86_400 + 60)
    assert _cost(sessions, lambda: call_log.delete_old_calls(world.core)) == 1 + len(users)
