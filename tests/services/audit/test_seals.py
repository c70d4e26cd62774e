"""Whoever gets at the database and has no key can neither edit what is sealed nor write it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.domain.facts import Ref
from app.domain.limits import LedgerRules
from app.domain.numbers import slot_of_user
from app.domain.refunding import Clawback
from app.domain.seals import Seals
from app.domain.spending import grant
from app.models.guards import APPEND_ONLY, IMMUTABLE_COLUMNS
from app.services import ledger
from app.services.audit.ledger import AsOf
from app.services.audit.orders import Finding
from app.services.audit.run import audit
from app.services.audit.seals import SEAL_PAGE
from app.services.base.context import Rules
from app.services.base.idempotency import keyed
from app.services.base.transaction import Sessions
from app.services.refunds import requests
from app.services.refunds.requests import Wanted
from app.worker import Worker
from tests.support.facts import paid_fact, told
from tests.support.world import START, World, build_world

KEY = b"a key that is in no database, long enough"


@pytest.fixture
def world(engine: Engine, sessions: Sessions) -> World:
    return build_world(engine, sessions, sealing(Seals(KEY, since=START)))


def sealing(seals: Seals) -> Rules:
    return Rules(ledger=LedgerRules(seals=seals), clawback=Clawback.DEBT)


class Shop:
    """A paid order that was refunded in part, an open order, a fact about nothing here, and a grant."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.paid, self.open = world.order("alice"), world.order("bob")
        world.pay(self.paid.payments[0].id)
        world.deliver()
        world.clock.advance(60)
        self.refund = self.ask_refund(100)
        nobodys = Ref(ours=str(4096 * 7 + 5), theirs="unheard-of")
        told(world, replace(paid_fact(world, self.paid.payments[0].id), ref=nobodys))
        self.give("alice", 5)
        assert self.audit() == []

    def ask_refund(self, amount: int) -> int:
        wanted = Wanted(None, self.paid.order.id, amount, "not wanted", None, "backend:shop")
        request = keyed("backend:shop", f"refund {amount}", "refund", {"amount": amount})
        return requests.request(self.world.core, wanted, request)

    def give(self, user: str, amount: int) -> None:
        give(self.world, user, amount)

    def edit(self, sql: str, **values: Any) -> None:
        """As somebody with a database console: past every guard of ours."""
        engine = self.world.core.whole.sessions.kw["bind"]
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SET session_replication_role = replica"))
            else:
                for table in (*APPEND_ONLY, *IMMUTABLE_COLUMNS):
                    connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_update"))
                    connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_delete"))
            assert connection.execute(text(f"/* sweep: operator */ {sql}"), values).rowcount >= 1
            if engine.dialect.name == "postgresql":
                connection.execute(text("SET session_replication_role = DEFAULT"))

    def audit(self) -> list[Finding]:
        core = self.world.core
        return audit(core.whole.sessions, AsOf(core.rules.ledger, core.clock.now))

    def found(self) -> list[str]:
        return [finding.detail for finding in self.audit() if finding.what == "seal"]


def give(world: World, user: str, amount: int) -> None:
    slot = slot_of_user(user)
    coins = grant(user, "coin", amount, f"gift {amount}", reason="sorry", actor="ann", environment="sandbox")
    core = world.core
    core.whole.transact(lambda tx: ledger.post(tx, slot, [coins]))


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


LATER = "2026-01-02 03:04:06+00:00"
EDITS = {
    "the grants of an open order": "UPDATE orders SET grants = '[]' WHERE status = 'open'",
    "the price of an open order": "UPDATE orders SET amount_minor = 1 WHERE status = 'open'",
    "the quantity of an open order": "UPDATE orders SET quantity = 9 WHERE status = 'open'",
    "the time of an order": f"UPDATE orders SET created_at = '{LATER}' WHERE status = 'open'",
    "the end of an order": f"UPDATE orders SET expires_at = '{LATER}' WHERE status = 'open'",
    "the time of a fact": f"UPDATE facts SET at = '{LATER}' WHERE outcome = 'parked'",
    "when a fact was recorded": f"UPDATE facts SET recorded_at = '{LATER}' WHERE outcome = 'parked'",
    "the road of a fact": "UPDATE facts SET road = 'query' WHERE outcome = 'parked'",
    "the provider's words": "UPDATE facts SET raw = '{}' WHERE kind = 'paid'",
    "a fact's message": "UPDATE facts SET message_id = 'x' WHERE outcome = 'parked'",
    "a fact's key": "UPDATE facts SET key = 'paid:x' WHERE outcome = 'parked'",
    "a refund's amount": "UPDATE refunds SET amount_minor = 1 WHERE origin = 'asked'",
    "a refund's reason": "UPDATE refunds SET reason = 'x' WHERE origin = 'asked'",
    "who asked for a refund": "UPDATE refunds SET caller = 'x' WHERE origin = 'asked'",
    "an order's seal": "UPDATE orders SET seal = NULL WHERE status = 'open'",
    "a fact's seal": "UPDATE facts SET seal = NULL WHERE outcome = 'parked'",
    "a refund's seal": "UPDATE refunds SET seal = NULL WHERE origin = 'asked'",
    "a grant's seal": "DELETE FROM grant_seals",
    "the answer to a key": "UPDATE idempotency SET resource_id = resource_id + 4096 WHERE caller = 'user:bob'",
    "whose key it is": "UPDATE idempotency SET caller = 'user:bo' WHERE caller = 'user:bob'",
}


def test_a_deleted_refund_that_the_provider_told_is_missed(shop: Shop) -> None:
    Worker(shop.world.core).run_once()
    shop.edit("DELETE FROM refunds")
    assert {finding.what for finding in shop.audit()} == {"key_without_resource", "refund_missing"}


def test_a_deleted_refund_that_was_never_sent_is_missed(shop: Shop) -> None:
    shop.edit("DELETE FROM refunds")
    assert [finding.what for finding in shop.audit()] == ["key_without_resource"]


def test_a_deleted_order_that_nobody_paid_is_missed(shop: Shop) -> None:
    shop.edit(f"DELETE FROM facts WHERE payment_id = {shop.open.payments[0].id}")
    shop.edit(f"DELETE FROM payments WHERE order_id = {shop.open.order.id}")
    shop.edit(f"DELETE FROM orders WHERE id = {shop.open.order.id}")
    assert [finding.what for finding in shop.audit()] == ["key_without_resource"]


def test_a_deleted_answer_to_the_key_of_a_refund_is_missed(shop: Shop) -> None:
    shop.edit(f"DELETE FROM idempotency WHERE resource_id = {shop.refund}")
    (finding,) = shop.audit()
    assert finding.what == "refund_unasked"


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_is_found(shop: Shop, edit: str) -> None:
    shop.edit(edit)
    assert len(shop.found()) == 1


def test_a_grant_that_continues_every_chain_is_found_without_the_seal_of_the_key(shop: Shop) -> None:
    """Somebody runs our own code against the database, but has no key."""
    core = shop.world.core
    stranger = replace(shop.world, core=replace(core, rules=sealing(Seals())))
    give(stranger, "mallory", 1_000_000)
    (found,) = shop.found()
    assert "1000000 coin to user mallory (sandbox) was not made by the service" in found


def test_an_order_and_a_fact_that_somebody_else_wrote_are_found_with_user_and_amount(shop: Shop) -> None:
    core = shop.world.core
    stranger = replace(shop.world, core=replace(core, rules=sealing(Seals())))
    order = stranger.order("mallory")
    told(stranger, paid_fact(stranger, order.payments[0].id))
    found = sorted(shop.found())
    # What start said, the payment, the order, and the answer to its key.
    assert [line.split()[0] for line in found] == ["fact", "fact", "order", "the"], (
        "what start said, the payment, the order and its key"
    )
    assert sum("(paid T-" in line and "6.00 CNY of user mallory" in line for line in found) == 1
    assert "of user mallory (1 × coins-60, 6.00 CNY)" in found[2]


def test_what_a_later_telling_adds_to_a_fact_is_sealed_again(shop: Shop) -> None:
    number = shop.world.order("carol").payments[0].id
    fact = paid_fact(shop.world, number)
    told(shop.world, replace(fact, product=None))
    told(shop.world, fact)
    assert shop.found() == []


def test_rows_from_before_there_was_a_key_need_no_seal_of_the_key(engine: Engine, sessions: Sessions) -> None:
    world = build_world(engine, sessions)
    world.pay(world.order("alice").payments[0].id)
    world.deliver()
    shop_engine = world.core.whole.sessions.kw["bind"]
    with shop_engine.begin() as connection:
        connection.execute(text("/* sweep: operator */ UPDATE orders SET seal = NULL"))
    world.clock.advance(3600)
    later = replace(world, core=replace(world.core, rules=sealing(Seals(KEY, since=world.clock.now()))))
    number = later.order("bob").payments[0].id
    later.pay(number)
    later.receive(later.notification(number))
    core = later.core
    assert audit(core.whole.sessions, AsOf(core.rules.ledger, core.clock.now)) == []


def test_what_lies_behind_the_first_page_is_proved_too(shop: Shop) -> None:
    slot, core = slot_of_user("alice"), shop.world.core
    coins = [
        grant("alice", "coin", 1, f"one more {number}", reason="sorry", actor="ann", environment="sandbox")
        for number in range(SEAL_PAGE)
    ]
    for start in range(0, SEAL_PAGE, 100):
        some = coins[start : start + 100]
        core.whole.transact(partial(ledger.post, slot=slot, transfers=some))
    assert shop.audit() == []
    last = "SELECT id FROM transfers WHERE slot = :slot AND kind = 'grant' ORDER BY version DESC LIMIT 1"
    edit = f"UPDATE grant_seals SET seal = :seal WHERE slot = :slot AND transfer_id = ({last})"
    shop.edit(edit, seal=b"x" * 32, slot=slot)
    assert len(shop.found()) == 1
