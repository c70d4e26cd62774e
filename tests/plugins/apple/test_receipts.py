"""What a client may hand in, and what becomes of it: facts where a signature proves them, questions where not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from appstoreserverlibrary.receipt_utility import ReceiptUtility

from app.providers import Forged, Message, Ref, Tools
from app.providers.testing.doubles import MemoryKeys, NoNetwork
from plugins.apple import plugin
from plugins.apple.app_receipts import (
    MOST_TRANSACTIONS,
    MalformedReceipt,
    is_id,
    transaction_in_old_receipt,
    transactions_in_app_receipt,
)
from plugins.apple.receipts import LegacyReceiptRef
from plugins.apple.settings import AppleSettings
from plugins.apple.simulated.receipts import app_receipt
from plugins.apple.transactions import NON_CONSUMABLE
from tests.plugins.apple.world import Shop, kinds, receipt

OLD_RECEIPT = (Path(__file__).parent / "vectors/mock_signed_data/legacyTransaction").read_text().strip()


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.mark.parametrize(
    ("confirm", "stated", "asks"), [("no", ["paid"], False), ("after", ["paid"], True), ("before", [], True)]
)
def test_a_signed_transaction_is_confirmed_as_the_setting_says(
    shop: Shop, confirm: str, stated: list[str], asks: bool
) -> None:
    purchase = shop.buy()
    received = shop.provider(confirm=confirm).receive(shop.receipt(purchase))
    assert kinds(received.facts) == stated
    assert [ask.theirs for ask in received.asks] == ([purchase.id] if asks else [])
    assert received.bearer_proof
    assert received.signed_at == shop.clock.now()


def test_confirmation_comes_before_credit_unless_told_otherwise(shop: Shop) -> None:
    settings = {name: value for name, value in shop.settings().items() if name != "confirm"}
    tools = Tools(http=NoNetwork(), clock=shop.clock, keys=MemoryKeys(), live=False)
    received = plugin.build(AppleSettings.model_validate(settings), tools).receive(shop.receipt(shop.buy()))
    assert (received.facts, len(received.asks)) == ((), 1)


def test_what_a_confirmation_answers_has_the_key_that_the_receipt_would_have(shop: Shop) -> None:
    purchase = shop.subscribe()
    unconfirmed = shop.provider(confirm="no").receive(shop.receipt(purchase)).facts
    provider = shop.provider(confirm="before")
    (ask,) = provider.receive(shop.receipt(purchase)).asks
    stored = Ref(theirs=ask.theirs, agreement=ask.agreement)
    for question in (ask, stored):
        assert [fact.ref for fact in provider.query(question)] == [fact.ref for fact in unconfirmed]


def test_a_confirmation_asks_once_and_where_the_purchase_was_made(shop: Shop) -> None:
    provider = shop.provider(confirm="before")
    (ask,) = provider.receive(shop.receipt(shop.subscribe())).asks
    provider.query(ask)
    assert [url.split("/")[3] for _, url, _ in shop.http.requests] == ["sandbox"]
    shop.store.troubles.append(4040010)
    assert provider.query(ask) == ()


def test_one_signed_transaction_may_come_alone(shop: Shop) -> None:
    received = shop.provider().receive(receipt(signed_transaction=shop.signed(shop.buy())))
    assert kinds(received.facts) == ["paid"]


def test_a_bare_number_proves_nothing_and_is_asked_about(shop: Shop) -> None:
    received = shop.provider().receive(receipt(transaction_id="2000000000000001"))
    assert (received.facts, received.asks) == ((), (Ref(theirs="2000000000000001"),))
    assert not received.bearer_proof
    assert received.signed_at is None


def test_several_numbers_are_asked_about_once_each(shop: Shop) -> None:
    received = shop.provider().receive(receipt(transaction_ids=["1", "2", "1"]))
    assert received.asks == (Ref(theirs="1"), Ref(theirs="2"))


def test_an_app_receipt_is_asked_about_by_its_transactions_newest_first(shop: Shop) -> None:
    first, second = shop.buy(), None
    shop.clock.advance(60)
    second = shop.buy()
    received = shop.provider().receive(receipt(app_receipt=shop.control("app-receipt")["receipt"]))
    assert received.asks == (Ref(theirs=second.id), Ref(theirs=first.id))
    assert not received.bearer_proof


def test_an_app_receipt_may_say_which_transaction_is_meant(shop: Shop) -> None:
    bought = shop.buy()
    text = shop.control("app-receipt")["receipt"]
    received = shop.provider().receive(receipt(app_receipt=text, transaction_id="77"))
    assert received.asks == (Ref(theirs="77"), Ref(theirs=bought.id))
    unreadable = shop.provider().receive(receipt(app_receipt="AAAA", transaction_id="77"))
    assert unreadable.asks == (Ref(theirs="77"),)


def test_our_reading_of_an_app_receipt_is_apples(shop: Shop) -> None:
    purchase = shop.buy()
    text = app_receipt("com.example.coins", [purchase])
    assert transactions_in_app_receipt(text) == (purchase.id,)
    assert ReceiptUtility().extract_transaction_id_from_app_receipt(text) == purchase.id


def test_no_more_transactions_are_asked_about_than_a_request_can_bear(shop: Shop) -> None:
    purchases = []
    for _ in range(MOST_TRANSACTIONS + 5):
        shop.clock.advance(1)
        purchases.append(shop.buy("no-ads", product_type=NON_CONSUMABLE))
    found = transactions_in_app_receipt(app_receipt("com.example.coins", purchases))
    assert found == tuple(one.id for one in reversed(purchases))[:MOST_TRANSACTIONS]


def test_a_receipt_of_the_oldest_kind_names_its_transaction(shop: Shop) -> None:
    received = shop.provider().receive(receipt(transaction_receipt=OLD_RECEIPT))
    assert received.asks == (Ref(theirs="33993399"),)
    assert transaction_in_old_receipt(OLD_RECEIPT) == "33993399"


@pytest.mark.parametrize("text", ["", "AAAA", "*", "MIIB", "A" * 100_000, "MIAGCSqGSIb3DQEHAqCAMIA="])
def test_what_is_no_receipt_of_storekit_1_is_refused(text: str) -> None:
    with pytest.raises(MalformedReceipt):
        transactions_in_app_receipt(text)
    with pytest.raises(MalformedReceipt):
        transaction_in_old_receipt(text)


def test_a_receipt_without_purchases_is_refused() -> None:
    with pytest.raises(MalformedReceipt):
        transactions_in_app_receipt(app_receipt("com.example.coins", []))


@pytest.mark.parametrize("text", ["0", "000", "", "-1", "1.0", "１", "12a", "1" * 21, 1, None, "1\n"])
def test_only_digits_are_an_id(text: object) -> None:
    assert not is_id(text)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"signed_transactions": []},
        {"signed_transactions": ["a.b.c"]},
        {"signed_transactions": "a.b.c"},
        {"signed_transactions": [None]},
        {"signed_transactions": ["a.b.c"] * (MOST_TRANSACTIONS + 1)},
        {"signed_transaction": 1},
        {"signed_transaction": "a.b.c", "transaction_id": "1"},
        {"transaction_id": "../notifications/test"},
        {"transaction_id": "0"},
        {"transaction_id": 1},
        {"transaction_ids": ["1"] * (MOST_TRANSACTIONS + 1)},
        {"app_receipt": 1},
        {"app_receipt": "AAAA"},
        {"app_receipt": "AAAA", "transaction_id": "x"},
        {"transaction_receipt": "AAAA"},
        {"something": "else"},
    ],
)
def test_what_proves_and_names_nothing_is_refused(shop: Shop, document: dict[str, Any]) -> None:
    with pytest.raises(Forged) as caught:
        shop.provider().receive(Message("receipt", json.dumps(document).encode()))
    assert caught.value.hint is None


def test_one_forged_transaction_spoils_the_whole_receipt(shop: Shop) -> None:
    good, foreign = shop.signed(shop.buy()), shop.signed(shop.buy(), bundleId="com.example.other")
    with pytest.raises(Forged):
        shop.provider().receive(receipt(signed_transactions=[good, foreign]))


def test_the_deprecated_check_gets_the_receipt_and_keeps_it_out_of_sight(shop: Shop) -> None:
    bought = shop.buy()
    text = shop.control("app-receipt")["receipt"]
    (ask,) = shop.provider(legacy_receipts="verify_receipt").receive(receipt(app_receipt=text)).asks
    assert isinstance(ask, LegacyReceiptRef)
    assert (ask.theirs, ask.receipt) == (bought.id, text)
    assert text not in repr(ask)
