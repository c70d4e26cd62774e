"""The audit finds whatever somebody changed behind our back, in every table that a payment touches."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.domain.ledger import ISSUANCE, Transfer, system, wallet
from app.domain.money import Money
from app.models.guards import APPEND_ONLY, IMMUTABLE_COLUMNS
from app.services import ledger
from app.services.audit.ledger import AsOf
from app.services.audit.run import audit as run_audit
from app.services.base.idempotency import keyed
from app.services.calls.payment_starts import start_payment
from app.services.payments.orders import PayBy, add_payment
from tests.support.facts import paid_fact, told
from tests.support.world import World


@dataclass(frozen=True)
class Books:
    """A shop in which everything has happened once."""

    world: World
    paid: Any
    surplus: int
    closed: Any
    held: Any
    open: Any

    def edit(self, sql: str, **values: Any) -> None:
        """As somebody with a database console: past every guard of ours. `<text>` is that text as JSON."""
        engine = self.world.core.whole.sessions.kw["bind"]
        as_json = ("CAST(", " AS jsonb)") if engine.dialect.name == "postgresql" else ("(", ")")
        sql = sql.replace("<", as_json[0]).replace(">", as_json[1])
        with engine.begin() as connection:
            assert connection.execute(text(f"/* sweep: operator */ {sql}"), values).rowcount >= 1

    def found(self) -> set[str]:
        return {what for what, _ in self.findings()}

    def findings(self) -> list[tuple[str, str]]:
        core = self.world.core
        found = run_audit(core.whole.sessions, AsOf(core.rules.ledger, core.clock.now))
        return [(finding.what, finding.detail) for finding in found]


@pytest.fixture
def books(world: World, engine: Engine) -> Books:
    paid = world.order("alice")
    again = add_payment(
        world.core, "alice", paid.order.id, PayBy("sandbox", "qr"), keyed("user:alice", "again", "add_payment", {})
    )
    start_payment(world.core, again)
    for payment_id in (paid.payments[0].id, again):
        world.pay(payment_id)
    world.deliver()
    closed, held, waiting = world.order("bob"), world.order("carol"), world.order("dave")
    world.simulator.books.close(world.at_provider(closed.payments[0].id))
    world.receive(world.notification(closed.payments[0].id))
    told(world, paid_fact(world, held.payments[0].id, money=Money(1, "CNY")))
    _drop_guards(engine)
    shop = Books(world, paid, again, closed, held, waiting)
    assert shop.found() == set()
    return shop


def _drop_guards(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in (*APPEND_ONLY, *IMMUTABLE_COLUMNS):
            for event in ("update", "delete"):
                on = f" ON {table}" if engine.dialect.name == "postgresql" else ""
                connection.execute(text(f"DROP TRIGGER {table}_no_{event}{on}"))


def payment_of(view: Any) -> int:
    return int(view.payments[0].id)


_FIRST = "(SELECT MIN(p.id) FROM payments p WHERE p.order_id = orders.id)"
_PAY = f"status = 'paid', paid_at = created_at, paid_payment_id = {_FIRST}"
EDITS: dict[str, tuple[str, Callable[[Books], int]]] = {
    "an order paid without money": (f"UPDATE orders SET {_PAY} WHERE id = :id", lambda b: b.open.order.id),
    "an order made unpaid": (
        "UPDATE orders SET status = 'open', paid_payment_id = NULL, paid_at = NULL WHERE id = :id",
        lambda b: b.paid.order.id,
    ),
    "an order expired with an open payment": (
        "UPDATE orders SET status = 'expired' WHERE id = :id",
        lambda b: b.open.order.id,
    ),
    "an order's amount": ("UPDATE orders SET amount_minor = 601 WHERE id = :id", lambda b: b.paid.order.id),
    "an order's currency": ("UPDATE orders SET currency = 'JPY' WHERE id = :id", lambda b: b.paid.order.id),
    "an order's quantity": ("UPDATE orders SET quantity = 2 WHERE id = :id", lambda b: b.paid.order.id),
    "an order's grants": (
        "UPDATE orders SET grants = <REPLACE(CAST(grants AS text), '60', '6000')> WHERE id = :id",
        lambda b: b.paid.order.id,
    ),
    "an order's environment": ("UPDATE orders SET environment = 'live' WHERE id = :id", lambda b: b.paid.order.id),
    "an order's buying payment": (
        "UPDATE orders SET paid_payment_id = paid_payment_id + 4096 WHERE id = :id",
        lambda b: b.paid.order.id,
    ),
    "a payment paid without money": (
        "UPDATE payments SET status = 'paid', theirs = 'x', paid_at = created_at WHERE id = :id",
        lambda b: payment_of(b.open),
    ),
    "a payment made unpaid": (
        "UPDATE payments SET status = 'closed', paid_at = NULL, problem = 'x' WHERE id = :id",
        lambda b: payment_of(b.paid),
    ),
    "a surplus payment made unpaid": (
        "UPDATE payments SET status = 'pending', paid_at = NULL WHERE id = :id",
        lambda b: b.surplus,
    ),
    "a payment closed without a word": (
        "UPDATE payments SET status = 'closed' WHERE id = :id",
        lambda b: payment_of(b.open),
    ),
    "a payment held without money": (
        "UPDATE payments SET status = 'held' WHERE id = :id",
        lambda b: payment_of(b.open),
    ),
    "a closed payment opened again": (
        "UPDATE payments SET status = 'pending' WHERE id = :id",
        lambda b: payment_of(b.closed),
    ),
    "a payment's number at the provider": (
        "UPDATE payments SET theirs = 'mine' WHERE id = :id",
        lambda b: payment_of(b.paid),
    ),
    "a fact deleted": ("DELETE FROM facts WHERE kind = 'paid' AND payment_id = :id", lambda b: payment_of(b.paid)),
    "a parked fact deleted": (
        "DELETE FROM facts WHERE kind = 'paid' AND payment_id = :id",
        lambda b: payment_of(b.held),
    ),
    "a fact's amount": (
        "UPDATE facts SET content = <REPLACE(CAST(content AS text), '600', '700')>"
        " WHERE kind = 'paid' AND payment_id = :id",
        lambda b: payment_of(b.paid),
    ),
    "a fact's key": (
        "UPDATE facts SET key = 'paid:other' WHERE kind = 'paid' AND payment_id = :id",
        lambda b: payment_of(b.paid),
    ),
    "a fact's outcome": (
        "UPDATE facts SET outcome = 'parked' WHERE kind = 'paid' AND payment_id = :id",
        lambda b: payment_of(b.paid),
    ),
    "a surplus fact made a sale": (
        "UPDATE facts SET outcome = 'applied', booking = 'sale' WHERE kind = 'paid' AND payment_id = :id",
        lambda b: b.surplus,
    ),
    "a fact's booking": (
        "UPDATE facts SET booking = 'nothing' WHERE kind = 'paid' AND payment_id = :id",
        lambda b: payment_of(b.paid),
    ),
    "a fact's account": (
        "UPDATE facts SET provider_account = 'other' WHERE kind = 'paid' AND payment_id = :id",
        lambda b: payment_of(b.paid),
    ),
    "a fact about another payment": (
        "UPDATE facts SET payment_id = NULL WHERE kind = 'paid' AND payment_id = :id",
        lambda b: payment_of(b.paid),
    ),
    "a transfer's amount": (
        "UPDATE transfers SET amount = amount + 1 WHERE kind = 'purchase' AND slot = :id",
        lambda b: b.paid.order.slot,
    ),
    "a transfer's kind": (
        "UPDATE transfers SET kind = 'payment' WHERE kind = 'surplus' AND slot = :id",
        lambda b: b.paid.order.slot,
    ),
    "a transfer turned round": (
        "UPDATE transfers SET debit_id = credit_id, credit_id = debit_id WHERE kind = 'payment' AND slot = :id",
        lambda b: b.paid.order.slot,
    ),
    "a transfer deleted": ("DELETE FROM transfers WHERE kind = 'surplus' AND slot = :id", lambda b: b.paid.order.slot),
}


@pytest.mark.parametrize("edit", sorted(EDITS))
def test_an_edit_behind_our_back_is_found(books: Books, edit: str) -> None:
    sql, whose = EDITS[edit]
    books.edit(sql, id=whose(books))
    found = books.findings()
    assert found
    nameless = [each for each in found if "`tillbook " not in each[1] or not re.search("user | of ", each[1])]
    assert nameless == [], "each says whose row it is, of what, and the command that shows more"


def test_coins_booked_as_a_purchase_that_no_fact_explains_are_found(books: Books) -> None:
    """Through the ledger's own door, so that the ledger in itself is in order."""
    slot = books.paid.order.slot
    gift = Transfer(
        scope="x",
        key="y",
        debit=system(ISSUANCE, "coin", "sandbox"),
        credit=wallet("alice", "coin", "sandbox"),
        amount=1000,
        kind="purchase",
    )
    books.world.core.whole.transact(lambda tx: ledger.post(tx, slot, [gift]))
    (detail,) = [detail for what, detail in books.findings() if what == "transfer_unexplained"]
    assert f"purchase of 1000 coin, user alice; see `tillbook find {gift.id_in(slot)}`" in detail


def test_the_audit_is_quiet_about_traffic_in_between(world: World) -> None:
    for number in range(30):
        world.order(f"user-{number}")
    as_of = AsOf(world.core.rules.ledger, world.core.clock.now)
    assert run_audit(world.core.whole.sessions, as_of, progress=lambda _: _pay_one(world)) == []
    world.assert_balanced()


def _pay_one(world: World) -> None:
    waiting = [payment for payment in world.simulator.books.all_of("m-1") if payment.status == "WAITING"]
    if waiting:
        world.simulator.pay(waiting[0])
        world.deliver()
