"""What a client may meet: limits with a word of their own, several spellings of one proof, blanks where nothing is."""

from __future__ import annotations

import base64
import json
import string
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1

from app.providers import Forged, HttpResponse, Message, Ref
from app.providers.testing.doubles import RewritingHttp
from app.request_buffer import LARGEST_BODY
from plugins.apple.app_receipts import MOST_TRANSACTIONS
from plugins.apple.receipts import LARGEST_LIST, LARGEST_RECEIPT
from plugins.apple.simulated.device import Device
from plugins.apple.simulated.receipts import app_receipt
from tests.plugins.apple.world import STORE_URL, TOKEN, Shop, base64url, facts, kinds, receipt

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
ORDER_OF_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture
def shop() -> Shop:
    return Shop()


def refusal(shop: Shop, message: Message) -> str:
    with pytest.raises(Forged) as caught:
        shop.provider().receive(message)
    return caught.value.code


@pytest.mark.parametrize("member", ["signed_transactions", "transaction_ids"])
def test_more_transactions_than_a_receipt_holds_are_told_so_before_any_is_verified(shop: Shop, member: str) -> None:
    assert refusal(shop, receipt(**{member: ["1"] * (MOST_TRANSACTIONS + 1)})) == "too_many_transactions"
    assert refusal(shop, receipt(**{member: []})) == "form"


def test_a_receipt_that_is_too_large_is_told_so_before_it_is_parsed(shop: Shop) -> None:
    assert refusal(shop, Message("receipt", b"[" * (LARGEST_RECEIPT + 1))) == "receipt_too_large"
    assert refusal(shop, receipt(signed_transaction="A" * LARGEST_LIST)) == "receipt_too_large"


def test_the_largest_receipt_is_smaller_than_the_largest_body_so_that_a_client_is_told_the_right_limit() -> None:
    assert LARGEST_LIST < LARGEST_RECEIPT < LARGEST_BODY


def test_twenty_transactions_with_all_their_certificates_fit(shop: Shop) -> None:
    message = receipt(signed_transactions=[shop.signed(shop.subscribe()) for _ in range(MOST_TRANSACTIONS)])
    assert len(message.body) < LARGEST_LIST
    assert kinds(facts(shop.provider(), message)) == ["paid"] * MOST_TRANSACTIONS


@pytest.mark.parametrize("count", [19, 20, 21, 40, 41])
def test_a_device_hands_in_as_many_receipts_as_its_purchases_need(shop: Shop, count: int) -> None:
    sizes: list[int] = []

    def submit(body: bytes) -> bool:
        sizes.append(len(shop.provider().receive(Message("receipt", body)).facts))
        return True

    device = Device(shop.http, STORE_URL, submit, token=TOKEN)
    for _ in range(count):
        device.buy("coins-600", crash=True)
    assert len(device.launch()) == count
    assert sum(sizes) == count
    assert max(sizes) <= MOST_TRANSACTIONS
    assert device.launch() == []


# One proof, whatever the bytes around it.


def proof(shop: Shop, message: Message) -> str:
    return str(shop.provider().receive(message).proof)


def test_one_proof_in_other_bytes_is_the_same_proof(shop: Shop) -> None:
    first, second = shop.signed(shop.buy()), shop.signed(shop.buy())
    known = proof(shop, receipt(signed_transactions=[first, second]))
    assert known
    assert known == proof(shop, receipt(signed_transactions=[second, first, second]))
    spaced = json.dumps({"signed_transactions": [first, second]}, indent=4).encode()
    assert known == proof(shop, Message("receipt", spaced))
    escaped = spaced.replace(b"signed_transactions", b"signed\\u005ftransactions")
    assert known == proof(shop, Message("receipt", escaped))
    assert proof(shop, receipt(signed_transaction=first)) == proof(shop, receipt(signed_transactions=[first]))


def test_the_other_valid_spelling_of_a_signature_makes_no_other_proof(shop: Shop) -> None:
    """With (r, s) an ECDSA signature (r, n - s) is valid too, and anybody can compute it."""
    assert isinstance(shop.store.signer.key.curve, SECP256R1)
    text = shop.signed(shop.buy())
    content, _, signature = text.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    flipped = raw[:32] + (ORDER_OF_P256 - int.from_bytes(raw[32:])).to_bytes(32)
    other = f"{content}.{base64url(flipped)}"
    assert other != text
    assert proof(shop, receipt(signed_transaction=other)) == proof(shop, receipt(signed_transaction=text))


def test_another_state_of_one_purchase_is_another_proof(shop: Shop) -> None:
    purchase = shop.buy()
    before = proof(shop, shop.receipt(purchase))
    shop.store.purchases.refund("Sandbox", purchase.id)
    assert proof(shop, shop.receipt(purchase)) != before
    assert proof(shop, shop.receipt(shop.buy())) != before


def test_numbers_are_one_proof_in_any_order_and_spelling(shop: Shop) -> None:
    known = proof(shop, receipt(transaction_ids=["12", "7"]))
    assert known == proof(shop, receipt(transaction_ids=["7", "0012", "7", "appstore.application"]))
    assert known != proof(shop, receipt(transaction_ids=["7"]))
    assert proof(shop, receipt(transaction_id="7")) == proof(shop, receipt(transaction_ids=["7"]))


@pytest.mark.parametrize("legacy", ["server_api", "verify_receipt"])
def test_an_app_receipt_is_one_proof_in_either_spelling_of_its_base64(shop: Shop, legacy: str) -> None:
    provider = shop.provider(legacy_receipts=legacy)
    texts = [app_receipt("com.example.coins", [shop.buy("c" * length)]) for length in (1, 2, 3)]
    padded = [text for text in texts if text.endswith("=")]
    assert padded
    for text in padded:
        last = len(text.rstrip("=")) - 1
        other = text[:last] + ALPHABET[ALPHABET.index(text[last]) + 1] + text[last + 1 :]
        one, two = (provider.receive(receipt(app_receipt=each)).proof for each in (text, other))
        assert one == two != ""


# Pseudo ids and unreadable neighbours.


def test_a_pseudo_id_among_real_ones_refuses_nothing(shop: Shop) -> None:
    received = shop.provider().receive(receipt(transaction_ids=["appstore.application", "77", "", "0"]))
    assert received.asks == (Ref(theirs="77"),)
    assert refusal(shop, receipt(transaction_ids=["appstore.application"])) == "form"


def test_a_genuine_transaction_that_cannot_be_read_hides_no_neighbour(shop: Shop) -> None:
    odd, good = shop.signed(shop.buy(), quantity=0), shop.signed(shop.buy())
    received = shop.provider().receive(receipt(signed_transactions=[odd, good]))
    assert kinds(received.facts) == ["paid"]
    assert received.note == "a transaction that cannot be read"
    assert refusal(shop, receipt(signed_transactions=[odd, odd])) == "content"


@pytest.mark.parametrize("changes", [{"bundleId": None}, {"bundleId": "com.example.other"}, {"quantity": 0}])
def test_an_odd_transaction_hides_no_neighbour_on_a_page_of_history(shop: Shop, changes: dict[str, Any]) -> None:
    odd, good = shop.subscribe(), shop.subscribe()
    odd.payload |= changes
    if changes.get("bundleId", "") is None:
        del odd.payload["bundleId"]
    name = f"{good.id}-{good.payload['webOrderLineItemId']}"
    assert kinds(shop.provider().query(Ref(theirs=name))) == ["paid"]


# Blanks.


@pytest.mark.parametrize("token", ["", " ", "\t", "00000000-0000-0000-0000-000000000000", None])
def test_a_blank_account_token_names_nobody(shop: Shop, token: str | None) -> None:
    (paid,) = facts(shop.provider(), shop.receipt(shop.buy(), appAccountToken=token))
    assert paid.owner is None


def test_a_token_in_any_spelling_of_its_uuid_is_that_owner(shop: Shop) -> None:
    for token in (TOKEN.upper(), f" {TOKEN}", TOKEN.replace("-", "")):
        (paid,) = facts(shop.provider(), shop.receipt(shop.buy(), appAccountToken=token))
        assert paid.owner == TOKEN
    (paid,) = facts(shop.provider(), shop.receipt(shop.buy(), appAccountToken="nobody"))
    assert paid.owner == "nobody"


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize(
    "member",
    ["webOrderLineItemId", "offerDiscountType", "revocationType", "transactionReason", "revocationDate", "expiresDate"],
)
def test_a_blank_member_is_an_absent_one(shop: Shop, member: str, blank: str) -> None:
    bought = shop.buy()
    plain = facts(shop.provider(), shop.receipt(bought))
    told = facts(shop.provider(), shop.receipt(bought, **{member: blank}))
    assert [(fact.kind, fact.ref) for fact in told] == [(fact.kind, fact.ref) for fact in plain]


def test_blank_parts_of_a_notification_are_absent_ones(shop: Shop) -> None:
    message = shop.notification(
        "CONSUMPTION_REQUEST", "", shop.buy(), consumptionRequestReason=None, signedRenewalInfo=""
    )
    assert kinds(facts(shop.provider(), message)) == ["refund_asked"]
    assert facts(shop.provider(), shop.notification("PRICE_CHANGE", "", shop.buy(), signedTransactionInfo="")) == ()


def test_blank_members_of_a_verified_receipt_are_absent_ones(shop: Shop) -> None:
    bought = shop.buy()
    blanks = (
        "web_order_line_item_id",
        "app_account_token",
        "cancellation_date_ms",
        "in_app_ownership_type",
        "quantity",
        "is_trial_period",
        "is_upgraded",
        "expires_date_ms",
    )
    text = shop.control("app-receipt")["receipt"]
    for blank in ("", None):

        def rewrite(answer: HttpResponse, blank: str | None = blank) -> HttpResponse:
            document = json.loads(answer.body)
            for record in document.get("receipt", {}).get("in_app", []):
                record.update(dict.fromkeys(blanks, blank))
            return HttpResponse(answer.status, answer.headers, json.dumps(document).encode())

        provider = shop.provider(RewritingHttp(shop.http, rewrite), legacy_receipts="verify_receipt")
        (ask,) = provider.receive(receipt(app_receipt=text)).asks
        (paid,) = provider.query(ask)
        assert (paid.ref.theirs, paid.owner, paid.quantity, paid.ref.agreement) == (bought.id, None, 1, None)
