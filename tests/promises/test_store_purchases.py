"""Purchases that a store makes and the client proves: credited once, to their owner, whichever way the news comes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from app.domain.numbers import slot_of_user
from app.domain.spending import Spend
from app.providers.facts import Message, Reply
from app.providers.registry import ProviderAccount, Registry
from app.services import ledger
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.accounts.users import ensure_user, record_consent
from app.services.base.context import Core
from app.services.facts import claims
from app.services.intake import notifications, receipts
from app.services.intake.receipts import ReceiptRefused, Submitted
from app.worker import Worker
from plugins.apple.settings import Environment
from plugins.apple.simulated.device import Device
from tests.plugins.apple.world import STORE_URL, Shop
from tests.support.databases import Sessions
from tests.support.world import START, World, build_world

CATALOGUE = """
[[products]]
sku = "coins-600"
title = "600 coins"
store_ids = { apple = "com.example.coins600" }
[[products.grants]]
asset = "coin"
amount = 600
"""
PRODUCT = "com.example.coins600"


class Store:
    """A Tillbook with an account at the simulated store, and devices that buy there."""

    def __init__(self, world: World, **settings: str | bool) -> None:
        self.world = world
        self.shop = Shop(world.clock, send=self._notified)
        account = ProviderAccount("apple", "apple", False, self.shop.provider(**settings))
        self.core: Core = replace(world.core, registry=Registry({"apple": account}))
        self.account = account
        self.answers: list[Submitted] = []
        world.core = self.core
        import_products(self.core, parse_catalogue(CATALOGUE))

    def _notified(self, url: str, message: Message) -> Reply:
        return self.receive(message)

    def receive(self, message: Message) -> Reply:
        return notifications.receive_notification(self.core, self.account, message)

    def token(self, user: str) -> str:
        return str(self.core.of_user(user).transact(lambda tx: ensure_user(tx, user)).token)

    def device(self, user: str = "alice", *, token: bool = True, environment: Environment = "Sandbox") -> Device:
        """The user's telephone, with the app's server behind it."""

        def submit(body: bytes) -> bool:
            done = receipts.submit(self.core, "apple", user, body)
            self.answers.append(done)
            return all(purchase.finish for purchase in done.purchases)

        return Device(
            self.shop.http,
            STORE_URL,
            submit,
            customer=user,
            environment=environment,
            token=self.token(user) if token else None,
        )

    def submit(self, user: str, transaction: str, owner: str) -> Submitted:
        """A proof of the purchase as the store signs it now, from somebody's client."""
        signed = self.shop.control("show", id=transaction, environment="Sandbox", customer=owner)["signed_transaction"]
        return receipts.submit(self.core, "apple", user, json.dumps({"signed_transactions": [signed]}).encode())

    def deliver(self) -> None:
        self.shop.store.notifications.run_due()


@pytest.fixture
def store(engine: Engine, sessions: Sessions) -> Store:
    return Store(build_world(engine, sessions))


def test_a_purchase_is_credited_by_its_receipt_and_may_be_finished(store: Store) -> None:
    store.device().buy(PRODUCT)
    assert store.world.coins() == 600
    purchase = store.answers[-1].purchases[0]
    assert (purchase.status, purchase.finish, purchase.product) == ("credited", True, "coins-600")
    store.world.assert_balanced()


def test_handing_in_the_same_proof_again_answers_the_same_and_credits_nothing(store: Store) -> None:
    device = store.device()
    number = device.buy(PRODUCT)
    assert device.resubmit(number)
    assert store.world.coins() == 600
    assert store.answers[0].purchases == store.answers[1].purchases
    store.world.assert_balanced()


def test_the_notification_alone_credits_a_purchase_whose_app_crashed(store: Store) -> None:
    device = store.device()
    device.buy(PRODUCT, crash=True)
    assert store.world.coins() == 0
    store.deliver()
    assert store.world.coins() == 600
    device.launch()
    assert store.world.coins() == 600
    assert store.answers[-1].purchases[0].status == "credited"
    store.world.assert_balanced()


def test_the_receipt_before_its_notification_credits_once(store: Store) -> None:
    store.device().buy(PRODUCT)
    store.deliver()
    assert store.world.coins() == 600
    store.world.assert_balanced()


def test_quantity_multiplies_the_grant(store: Store) -> None:
    store.device().buy(PRODUCT, quantity=3)
    assert store.world.coins() == 1800
    store.world.assert_balanced()


def test_the_token_and_not_the_caller_owns_the_purchase(store: Store) -> None:
    number = store.device("alice").buy(PRODUCT, crash=True)
    answer = store.submit("mallory", number, "alice")
    assert [(p.status, p.order, p.product, p.finish) for p in answer.purchases] == [("not_yours", None, None, False)]
    assert store.world.coins("mallory") == 0
    assert store.world.coins("alice") == 600
    store.world.assert_balanced()


def test_a_proof_of_another_users_purchase_leaves_a_line_for_the_operator(store: Store) -> None:
    number = store.device("alice").buy(PRODUCT, crash=True)
    with capture_logs() as logged:
        assert store.submit("alice", number, "alice").purchases[0].status == "credited"
        assert store.submit("mallory", number, "alice").purchases[0].status == "not_yours"
    [line] = [one for one in logged if one["event"] == "receipt_of_another_user"]
    assert line["log_level"] == "warning"
    assert (line["theirs"], line["caller"], line["owner"]) == (number, "mallory", "alice")
    assert line["fact"] in fact_numbers(store, number)


def fact_numbers(store: Store, theirs: str) -> set[int]:
    query = text("SELECT id, content FROM facts WHERE slot = :slot")
    rows = store.core.whole.read(lambda tx: tx.execute(query, {"slot": slot_of_user("alice")}).all())
    return {row.id for row in rows if theirs in str(row.content)}


def test_without_a_token_the_first_to_bring_the_proof_owns_it(store: Store) -> None:
    number = store.device("alice", token=False).buy(PRODUCT)
    assert store.world.coins("alice") == 600
    answer = store.submit("mallory", number, "alice")
    assert answer.purchases[0].status == "not_yours"
    assert store.world.coins("mallory") == 0
    store.world.assert_balanced()


def test_a_notification_without_a_token_credits_nobody_until_the_proof_is_brought(store: Store) -> None:
    device = store.device("alice", token=False)
    device.buy(PRODUCT, crash=True)
    store.deliver()
    assert store.world.coins("alice") == 0
    device.launch()
    assert store.world.coins("alice") == 600
    store.world.assert_balanced()


def test_two_users_racing_with_one_proof_credit_one_of_them(store: Store) -> None:
    number = store.device("alice", token=False).buy(PRODUCT, crash=True)
    users = [f"user-{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda user: store.submit(user, number, "alice"), users))
    assert sorted(answer.purchases[0].status for answer in answers) == ["credited", *["not_yours"] * 7]
    assert sum(store.world.coins(user) for user in users) == 600
    store.world.assert_balanced()


def test_a_purchase_of_a_product_that_is_not_here_is_held_and_credited_when_it_is(store: Store) -> None:
    device = store.device()
    number = device.buy("com.example.other")
    assert store.answers[-1].purchases[0].status == "held"
    other = CATALOGUE.replace("coins-600", "coins-other").replace(PRODUCT, "com.example.other")
    import_products(store.core, parse_catalogue(other))
    device.resubmit(number)
    assert store.world.coins() == 600
    store.world.assert_balanced()


def test_a_proof_that_proves_nothing_is_refused_and_changes_nothing(store: Store) -> None:
    for body in (b"", b"{}", b'{"signed_transactions":["a.b.c"]}', b"\xff\x00", b'{"signed_transactions":[]}'):
        with pytest.raises(ReceiptRefused):
            receipts.submit(store.core, "apple", "alice", body)
    assert store.world.outcomes() == []


def test_a_bare_number_is_asked_about_and_an_outage_leaves_it_pending(store: Store) -> None:
    number = store.device("alice").buy(PRODUCT, crash=True)
    store.shop.store.faults.error500 = 5
    body = json.dumps({"transaction_id": number}).encode()
    first = receipts.submit(store.core, "apple", "alice", body)
    assert (first.status, first.purchases[0].status, first.purchases[0].finish) == ("pending", "pending", False)
    assert store.world.coins() == 0
    store.shop.store.faults.error500 = 0
    store.world.clock.advance(7200)
    Worker(store.core).run_once()
    assert store.world.coins() == 600
    assert receipts.submit(store.core, "apple", "alice", body).status == "settled"
    store.world.assert_balanced()


def test_a_bare_number_without_a_token_is_not_for_whoever_names_it(store: Store) -> None:
    number = store.device("alice", token=False).buy(PRODUCT, crash=True)
    answer = receipts.submit(store.core, "apple", "mallory", json.dumps({"transaction_id": number}).encode())
    assert answer.purchases[0].status == "not_yours"
    assert store.world.coins("mallory") == 0


def test_confirmation_before_the_credit_waits_for_the_stores_answer(engine: Engine, sessions: Sessions) -> None:
    store = Store(build_world(engine, sessions), confirm="before")
    store.shop.store.faults.error500 = 5
    device = store.device()
    number = device.buy(PRODUCT)
    assert store.world.coins() == 0
    store.shop.store.faults.error500 = 0
    device.resubmit(number)
    assert store.world.coins() == 600
    store.world.assert_balanced()


def test_an_order_that_waits_for_the_store_is_the_one_that_gets_paid(store: Store) -> None:
    view = _ordered(store)
    store.device().buy(PRODUCT)
    assert store.world.order_row(view.order.id).status == "paid"
    assert store.answers[-1].purchases[0].order == str(view.order.id)
    store.world.assert_balanced()


def test_purchases_at_once_beside_one_open_order_each_get_an_order_and_their_coins(store: Store) -> None:
    view = _ordered(store)
    device = store.device()
    numbers = [device.buy(PRODUCT, crash=True) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda number: store.submit("alice", number, "alice"), numbers))
    orders = {answer.purchases[0].order for answer in answers}
    assert [answer.purchases[0].status for answer in answers] == ["credited"] * 6
    assert len(orders) == 6
    assert str(view.order.id) in orders
    assert store.world.coins() == 6 * 600
    store.world.assert_balanced()


def _ordered(store: Store):  # type: ignore[no-untyped-def]
    from app.services.base.idempotency import keyed
    from app.services.calls import payment_starts
    from app.services.payments import orders
    from app.services.payments.orders import NewOrder, PayBy

    wanted = NewOrder("alice", "coins-600", 1, PayBy("apple", "store"))
    order_id, payment_id = orders.create_order(store.core, wanted, keyed("user:alice", "k", "order", {}))
    payment_starts.start_payment(store.core, payment_id)
    view = orders.view_order(store.core, "alice", order_id)
    assert view.payments[0].action["app_account_token"] == store.token("alice")
    assert view.order.slot == slot_of_user("alice")
    return view


def test_how_much_was_used_is_told_only_with_consent_and_from_the_lots(engine: Engine, sessions: Sessions) -> None:
    store = Store(build_world(engine, sessions), answer_refund_questions=True)
    device = store.device()
    number = device.buy(PRODUCT)
    spend = Spend("alice", "coin", 150, "s1", environment="sandbox")
    store.core.whole.transact(lambda s: ledger.spend(s, slot_of_user("alice"), spend))
    device.ask_refund(number)
    store.deliver()
    Worker(store.core).run_once()
    told = store.shop.store.purchases.find("Sandbox", number).reports
    assert told == []
    store.core.whole.transact(lambda s: record_consent(s, "alice", START))
    store.world.clock.advance(60)
    device.ask_refund(number, reason="OTHER")
    store.deliver()
    Worker(store.core).run_once()
    assert [(one["customerConsented"], one["consumptionPercentage"]) for one in told] == [(True, 25_000)]


def test_a_process_that_dies_after_keeping_the_proof_loses_nothing(store: Store) -> None:
    number = store.device("alice").buy(PRODUCT, crash=True)
    signed = store.shop.control("show", id=number, environment="Sandbox", customer="alice")["signed_transaction"]
    body = json.dumps({"signed_transactions": [signed]}).encode()
    receipts._keep(store.core, "apple", "alice", body, store.account.provider.receive(Message("receipt", body)))
    assert store.world.coins() == 0
    store.world.clock.advance(120)
    Worker(store.core).run_once()
    assert store.world.coins() == 600
    store.world.assert_balanced()


def test_a_process_that_dies_between_the_claim_and_the_credit_loses_nothing(store: Store) -> None:
    number = store.device("alice", token=False).buy(PRODUCT, crash=True)
    claims.claim(store.core, "apple", "sandbox", number, "alice")
    store.deliver()
    assert store.world.coins("alice") == 600
    assert store.submit("mallory", number, "alice").purchases[0].status == "not_yours"
    store.world.assert_balanced()


def test_a_purchase_in_the_stores_sandbox_never_touches_the_live_wallet(store: Store) -> None:
    store.device("alice", environment="Sandbox").buy(PRODUCT)
    store.device("alice", environment="Production").buy(PRODUCT, quantity=2)
    slot = slot_of_user("alice")
    found = store.core.whole.read(lambda tx: ledger.balances(tx, slot, "alice"))
    assert {entry.environment: entry.balance for entry in found} == {"sandbox": 600, "live": 1200}
    store.world.assert_balanced()


def test_a_purchase_whose_refund_is_known_first_leaves_no_coins(store: Store) -> None:
    store.shop.store.faults.lose = 1
    number = store.device().buy(PRODUCT, crash=True)
    old_proof = store.shop.control("show", id=number, environment="Sandbox", customer="alice")["signed_transaction"]
    store.shop.control("refund", id=number, environment="Sandbox")
    store.deliver()
    answer = receipts.submit(store.core, "apple", "alice", json.dumps({"signed_transactions": [old_proof]}).encode())
    assert (answer.purchases[0].status, answer.purchases[0].finish) == ("refunded", True)
    assert store.world.coins() == 0
    store.world.assert_balanced()


def test_an_old_proof_after_the_refund_does_not_bring_the_coins_back(store: Store) -> None:
    device = store.device()
    number = device.buy(PRODUCT)
    old_proof = store.shop.control("show", id=number, environment="Sandbox", customer="alice")["signed_transaction"]
    store.shop.control("refund", id=number, environment="Sandbox")
    store.deliver()
    assert store.world.coins() == 0
    for _ in range(2):
        receipts.submit(store.core, "apple", "alice", json.dumps({"signed_transactions": [old_proof]}).encode())
    assert store.world.coins() == 0
    store.world.assert_balanced()


@pytest.mark.one_database
def test_one_purchase_told_many_times_at_one_moment_makes_one_order(store: Store) -> None:
    number = store.device().buy(PRODUCT, crash=True)
    purchase = store.shop.store.purchases.find("Sandbox", number)
    signed = store.shop.store.notifications.tell("ONE_TIME_CHARGE", "", purchase).signed_payload
    message = Message("notification", json.dumps({"signedPayload": signed}).encode(), {}, "")
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: store.receive(message), range(8)))
    assert {reply.status for reply in replies} == {200}
    counted = ", ".join(f"(SELECT count(*) FROM {table})" for table in ("orders", "payments", "facts"))
    made = text(f"/* sweep: audit */ SELECT {counted}")
    assert store.core.whole.read(lambda tx: tuple(tx.execute(made).one())) == (1, 1, 1)
    assert store.world.coins() == 600
    store.world.assert_balanced()


def test_a_store_id_that_a_product_handed_on_is_that_of_the_product_for_sale(store: Store) -> None:
    renewed = CATALOGUE.replace('"coins-600"', '"a-new-sku"').replace("amount = 600", "amount = 700")
    import_products(store.core, parse_catalogue(renewed))
    store.device().buy(PRODUCT)
    assert store.world.coins() == 700
    import_products(store.core, parse_catalogue(CATALOGUE))
    store.device().buy(PRODUCT)
    assert store.world.coins() == 700 + 600
    store.world.assert_balanced()
