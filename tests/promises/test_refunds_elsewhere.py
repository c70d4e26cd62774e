"""Refunds where things are not as usual: a store that decides, money that matched nothing, news that crossed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import Engine, insert

from app.domain.ledger import ISSUANCE, REVERSAL, Transfer, system, wallet
from app.domain.numbers import slot_of_user
from app.domain.spending import Spend
from app.models.orders import Payment
from app.providers.facts import Kind, Ref
from app.services import ledger
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.base.context import Tx
from app.services.base.idempotency import keyed
from app.services.base.reported_fact import ReportedFact
from app.services.facts.apply import apply_fact
from app.services.intake import receipts
from app.services.ledger import holdings
from app.services.ledger.reversals import Reverse, reverse
from app.services.refunds import refund_rows, requests
from app.services.refunds.requests import RefundNotSupported, Wanted
from app.worker import Worker
from tests.promises.test_store_purchases import PRODUCT, Store
from tests.support.buyer import BONUS, COINS, PAID, Buyer
from tests.support.databases import Sessions
from tests.support.world import CATALOGUE, World, build_world


@pytest.fixture
def store(engine: Engine, sessions: Sessions) -> Store:
    return Store(build_world(engine, sessions))


def refund(store: Store, number: str, percentage: int) -> None:
    store.shop.control("refund", id=number, environment="Sandbox", percentage=percentage)
    store.world.clock.advance(60)
    store.deliver()


def test_a_store_gives_back_shares_takes_it_back_and_gives_all_back_again(store: Store) -> None:
    number = store.device().buy(PRODUCT)
    store.deliver()
    for percentage, coins in ((30_000, 420), (30_000, 420), (100_000, 0)):
        refund(store, number, percentage)
        assert store.world.coins() == coins
    store.shop.control("reverse-refund", id=number, environment="Sandbox")
    store.world.clock.advance(60)
    store.deliver()
    assert store.world.coins() == 600
    refund(store, number, 100_000)
    assert store.world.coins() == 0
    store.world.assert_balanced()


def test_coins_of_a_store_purchase_that_were_spent_are_owed_and_the_next_purchase_repays(store: Store) -> None:
    number = store.device().buy(PRODUCT)
    slot = slot_of_user("alice")
    spend = Spend("alice", "coin", 500, "k", environment="sandbox")
    store.core.whole.transact(lambda s: ledger.spend(s, slot, spend))
    refund(store, number, 100_000)
    assert store.world.coins() == 0
    store.device().buy(PRODUCT)
    assert store.world.coins() == 100
    store.world.assert_balanced()


def test_a_refund_that_is_told_before_anybody_claimed_the_purchase_waits_for_its_buyer(store: Store) -> None:
    """No token: the refund lies where the purchase's own number puts it until its buyer brings an old proof."""
    store.shop.store.faults.lose = 1
    number = store.device(token=False).buy(PRODUCT, crash=True)
    old_proof = store.shop.control("show", id=number, environment="Sandbox", customer="alice")["signed_transaction"]
    refund(store, number, 100_000)
    body = json.dumps({"signed_transactions": [old_proof]}).encode()
    receipts.submit(store.core, "apple", "alice", body)
    assert store.world.coins() == 0
    slot = slot_of_user("alice")
    assert store.core.whole.read(lambda s: holdings(s, slot, "alice")).debts == ()
    assert store.core.whole.read(lambda s: refund_rows.waiting_anywhere(s, "assigned", 0, 10)) == []
    store.world.assert_balanced()


def test_a_store_decides_by_itself(store: Store) -> None:
    store.device().buy(PRODUCT)
    order = store.answers[-1].purchases[0].order
    assert order is not None
    wanted = Wanted(None, int(order), None, "please", None, "backend:test")
    with pytest.raises(RefundNotSupported):
        requests.request(store.core, wanted, keyed("backend:test", "k", "refund", {}))


# --- money that matched nothing ---


def test_refunded_money_of_an_unknown_payment_leaves_suspense(world: World) -> None:
    buyer = Buyer(world)
    paid = buyer.paid()
    unknown = replace(paid, ref=replace(paid.ref, ours=str(buyer.payment_id + (1 << 12))))
    told = replace(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=200), ref=replace(unknown.ref, refund="r1"))
    assert buyer.tell(told).reason == "before_payment"
    assert buyer.tell(unknown).outcome == "parked"
    assert (world.money("suspense"), world.money("clearing:sandbox")) == (400, -400)
    undone = replace(told, kind=Kind.REFUND_UNDONE, at=buyer.at(2))
    buyer.tell(undone)
    assert (world.money("suspense"), world.money("clearing:sandbox")) == (600, -600)
    buyer.assert_balanced()


def test_a_refund_of_a_store_purchase_that_is_not_in_the_catalogue_waits_for_it(world: World) -> None:
    buyer = Buyer(world)
    owner = world.owner_of(buyer.payment_id)
    ref = Ref(theirs="store-1")
    paid = replace(buyer.paid(), ref=ref, product="new", owner=owner)
    assert buyer.tell(paid).reason == "unknown_product"
    back = replace(buyer.fact(Kind.REFUNDED, 1, money=200), ref=replace(ref, refund="r1"), owner=owner)
    assert buyer.tell(back).reason == "before_payment"
    catalogue = CATALOGUE.replace("prices", 'store_ids = { sandbox = "new" }\nprices')
    import_products(world.core, parse_catalogue(catalogue))
    assert buyer.tell(paid).outcome == "applied"
    assert (world.money("suspense"), world.money("sales"), world.money("clearing:sandbox")) == (0, 400, -400)
    assert buyer.coins == 44
    buyer.assert_balanced()


def test_refunds_follow_money_that_is_matched_later(world: World) -> None:
    """Money of an unknown number lies in suspense, and part of it was refunded from there, when its payment appears (a
    database that was restored from a copy)."""
    buyer = Buyer(world)
    number = buyer.payment_id + (1 << 12)
    ref = Ref(str(number), "late-1")
    paid = replace(buyer.paid(), ref=ref)
    back = replace(buyer.fact(Kind.REFUNDED, 1, money=200), ref=replace(ref, refund="r1"))
    assert [buyer.tell(fact).outcome for fact in (paid, back)] == ["parked", "applied"]
    assert (world.money("suspense"), world.money("sales"), buyer.coins) == (400, 0, 0)
    row = {**world.payment(buyer.payment_id)._mapping, "id": number, "theirs": None, "attempt": 2, "request": None}
    world.core.whole.transact(lambda s: s.execute(insert(Payment).values(row)))
    assert buyer.tell(paid).outcome == "applied"
    assert (world.money("suspense"), world.money("sales"), world.money("clearing:sandbox")) == (0, 400, -400)
    assert buyer.coins == 44
    buyer.assert_balanced()


# --- news that crossed ---


def test_money_and_refund_that_did_not_see_each_other_are_brought_together_by_the_worker(world: World) -> None:
    """Told at one moment by two roads, in transactions that do not see each other. Where there is a payment its lock
    orders them; this money matches none. SQLite has one writer at a time: there it cannot happen."""
    if world.core.whole.sessions.kw["bind"].dialect.name == "sqlite":
        return
    buyer = Buyer(world)
    unknown = Ref(str(buyer.payment_id + (1 << 12)), buyer.theirs)
    refunded = replace(buyer.fact(Kind.REFUNDED, 1, money=200), ref=replace(unknown, refund="r1"))
    with world.core.whole.sessions.kw["bind"].begin() as connection:
        tx = Tx(connection, world.core)
        apply_fact(tx, ReportedFact(world.account, refunded, "notification"))
        tx.flush()
        buyer.tell(replace(buyer.paid(), ref=unknown))
    assert world.money("suspense") == 600
    Worker(world.core).run_once()
    assert (world.money("suspense"), world.money("clearing:sandbox")) == (400, -400)
    assert world.core.whole.read(lambda s: refund_rows.waiting_anywhere(s, "assigned", 0, 10)) == []
    buyer.assert_balanced()


def test_nobody_gains_by_a_reversal_of_a_refund_that_an_operator_had_already_undone(world: World) -> None:
    """Books from before a caller was refused that may hold a reversal of the credit itself: the refund takes nothing
    more, and its reversal gives nothing."""
    buyer = Buyer(world)
    buyer.pay()
    page = world.core.whole.read(lambda s: ledger.statement(s, buyer.slot, wallet(buyer.user, "coin", "sandbox")))
    coins = wallet(buyer.user, "coin", "sandbox")
    for line in page.lines:
        request = Reverse(line.transfer, f"r-{line.version}", "a mistake", "operator")
        refused = world.core.whole.transact(lambda s, request=request: reverse(s, buyer.slot, request))  # type: ignore[misc]
        assert refused.code == "not_reversible"
        old = Transfer(
            scope=REVERSAL,
            key=line.transfer.hex,
            debit=coins,
            credit=system(ISSUANCE, "coin", "sandbox"),
            amount=line.amount,
            kind=REVERSAL,
            cause=line.transfer,
        )
        world.core.whole.transact(lambda s, old=old: ledger.post(s, buyer.slot, [old]))  # type: ignore[misc]
    assert buyer.coins == 0
    buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    assert (buyer.coins, buyer.debt, buyer.refunded) == (0, 0, 600)
    buyer.tell(buyer.fact(Kind.REFUND_UNDONE, 2, refund="u2"))
    assert (buyer.coins, buyer.debt, buyer.refunded) == (0, 0, 0)
    buyer.assert_balanced()


def test_coins_that_expired_unused_are_not_owed_when_their_purchase_is_refunded(world: World) -> None:
    """The bonus coins of this product run out after thirty days; the worker may have come before the refund, or not."""
    for swept in (True, False):
        buyer = Buyer(world)
        buyer.pay()
        hours = int((world.clock.now() - buyer.at(0)).total_seconds() // 3600)
        world.clock.advance(31 * 86400)
        if swept:
            world.expire_due()
        buyer.tell(buyer.fact(Kind.REFUNDED, hours + 31 * 24, refund=f"late-{buyer.user}", money=PAID))
        assert (buyer.coins, buyer.debt, buyer.refunded) == (0, 0, PAID)
        buyer.assert_balanced()


def test_spent_coins_are_owed_as_far_as_others_of_the_grant_did_not_expire(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    buyer.spend(BONUS - 2)
    hours = int((world.clock.now() - buyer.at(0)).total_seconds() // 3600)
    world.clock.advance(31 * 86400)
    world.expire_due()
    buyer.spend(COINS)
    buyer.tell(buyer.fact(Kind.REFUNDED, hours + 31 * 24, refund="half", money=PAID // 2))
    # Of the bonus 2 of 6 expired and 4 were spent: half of it is 3, so 1 is owed. Of the paid coins half is owed.
    assert (buyer.coins, buyer.debt) == (0, COINS // 2 + 1)
    buyer.tell(buyer.fact(Kind.REFUNDED, hours + 32 * 24, refund="rest", money=PAID // 2))
    assert (buyer.coins, buyer.debt) == (0, COINS + BONUS - 2)
    buyer.tell(buyer.fact(Kind.REFUND_UNDONE, hours + 33 * 24, refund="half"))
    buyer.assert_balanced()
