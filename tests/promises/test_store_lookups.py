"""A purchase in a store is found by the store's own number, and its timeline tells of the receipt that brought it."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from app.services.accounts.users import record_consent
from app.services.base.transaction import Sessions
from app.services.lookup.entries import EntryKind
from app.services.lookup.search import things_named
from app.services.lookup.timeline import timeline
from app.worker import Worker
from tests.promises import test_receipts_bounded
from tests.promises.test_receipts_bounded import Kiosk
from tests.promises.test_store_purchases import PRODUCT, Store
from tests.support.world import START, build_world

kiosk = test_receipts_bounded.kiosk


@pytest.fixture
def store(engine: Engine, sessions: Sessions) -> Store:
    return Store(build_world(engine, sessions))


def test_a_stores_transaction_id_finds_the_purchase_its_user_and_its_payment(store: Store) -> None:
    number = store.device().buy(PRODUCT)
    found = things_named(store.core, number).found
    assert {thing.kind for thing in found} == {"purchase", "payment"}
    assert {thing.user for thing in found} == {"alice"}
    (payment,) = [thing for thing in found if thing.kind == "payment"]
    assert (payment.status, payment.theirs) == ("paid", number)


def test_a_purchase_that_got_no_order_is_found_by_its_claim_and_its_fact(store: Store) -> None:
    number = store.device().buy("com.example.unknown")
    found = {thing.kind: thing for thing in things_named(store.core, number).found}
    assert found.keys() == {"purchase", "fact"}
    assert found["purchase"].user == found["fact"].user == "alice"
    assert found["fact"].status == "parked unknown_product"


def test_the_notification_of_a_purchase_that_its_receipt_told_first_is_shown_once(store: Store) -> None:
    device = store.device()
    number = device.buy(PRODUCT)
    store.deliver()
    for _ in range(2):
        device.resubmit(number)
    (payment,) = [thing for thing in things_named(store.core, number).found if thing.kind == "payment"]
    assert payment.order is not None
    entries = timeline(store.core, payment.order).entries
    (told,) = [entry for entry in entries if entry.kind is EntryKind.FACT]
    (again,) = [entry for entry in entries if entry.kind is EntryKind.TOLD_AGAIN]
    assert (told.road, again.road, again.number) == ("receipt", "notification", told.number)


def test_what_the_store_was_told_of_the_purchase_is_in_the_timeline(engine: Engine, sessions: Sessions) -> None:
    store = Store(build_world(engine, sessions), answer_refund_questions=True)
    device = store.device()
    number = device.buy(PRODUCT)
    store.core.whole.transact(lambda tx: record_consent(tx, "alice", START))
    device.ask_refund(number)
    store.deliver()
    Worker(store.core).run_once()
    (payment,) = [thing for thing in things_named(store.core, number).found if thing.kind == "payment"]
    assert payment.order is not None
    calls = [entry for entry in timeline(store.core, payment.order).entries if entry.kind is EntryKind.CALL]
    assert [(entry.what, entry.payment) for entry in calls] == [("fulfil", int(payment.number))]


def test_the_receipt_and_every_question_about_it_are_in_the_orders_timeline(kiosk: Kiosk) -> None:
    kiosk.store.away = True
    done = kiosk.hands_in("N-1", proof="signed")
    kiosk.later(60)
    kiosk.store.away = False
    kiosk.sells("N-1")
    kiosk.later(600)
    (payment,) = [thing for thing in things_named(kiosk.world.core, "N-1").found if thing.kind == "payment"]
    assert payment.order is not None
    entries = timeline(kiosk.world.core, payment.order).entries
    (receipt,) = [entry for entry in entries if entry.kind is EntryKind.RECEIPT]
    assert (receipt.number, receipt.outcome) == (done.receipt, "settled")
    calls = [(entry.outcome, entry.detail) for entry in entries if entry.kind is EntryKind.CALL]
    assert calls == [("unknown", "no answer"), ("unknown", "no answer"), ("answered", "paid")]
    assert [thing.kind for thing in things_named(kiosk.world.core, done.receipt).found] == ["receipt"]
