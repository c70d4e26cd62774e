"""Documents that Apple itself signed: believed as they are, by a live account, and not when anything about them is
changed. Everything else in these tests is signed by our simulator's certificates."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier

from app.providers import Forged, Kind, Message, Provider, Tools, key_of
from app.providers.testing.doubles import FixedClock, MemoryKeys, NoNetwork
from plugins.apple import plugin
from plugins.apple.chains import Chains, UntrustedChain
from plugins.apple.jws import decode
from plugins.apple.roots import apple_root
from plugins.apple.settings import AppleSettings
from plugins.apple.signed_data import App, Refused, SignedData
from plugins.apple.standings import renewal_of
from tests.plugins.apple.world import Shop, base64url, receipt

FOLDER = Path(__file__).parent / "vectors" / "genuine"
TEST_NOTIFICATION, TRANSACTION, RENEWAL = (
    (FOLDER / f"{name}.jws").read_text().strip() for name in ("test_notification", "transaction", "renewal_info")
)
BUNDLE, APP_ID = "com.loki-project.loki-messenger", 1470168868


def provider(**changes: Any) -> Provider:
    """A live account that trusts Apple's root alone."""
    own = {"bundle_id": BUNDLE, "app_apple_id": APP_ID, "confirm": "no"}
    needed = ("issuer_id", "key_id", "private_key")
    table = {name: value for name, value in Shop().settings().items() if name in needed} | own | changes
    tools = Tools(http=NoNetwork(), clock=FixedClock(), keys=MemoryKeys(), live=True)
    return plugin.build(AppleSettings.model_validate(table), tools)


def notification(text: str) -> Message:
    return Message("notification", json.dumps({"signedPayload": text}).encode())


def signed_data() -> SignedData:
    return SignedData(App(BUNDLE, APP_ID, ("Production", "Sandbox")), Chains((apple_root(),)))


def refused(message: Message, to: Provider | None = None) -> str:
    with pytest.raises(Forged) as refusal:
        (to or provider()).receive(message)
    return str(refusal.value.code)


def test_a_genuine_test_notification_is_taken() -> None:
    received = provider().receive(notification(TEST_NOTIFICATION))
    assert (received.facts, received.note, received.reply.status) == ((), "", 200)
    assert received.message_id == "592751ef-c1b8-47fc-929e-d62dee66df4c"
    assert received.signed_at == datetime(2025, 9, 5, 1, 24, 32, 686_000, tzinfo=UTC)


def test_a_genuine_transaction_is_a_payment_in_the_sandbox() -> None:
    """It is dated half a minute after its signature: Apple renews before a period ends."""
    received = provider().receive(receipt(signed_transaction=TRANSACTION))
    (fact,) = received.facts
    assert (fact.kind, fact.live, fact.account) == (Kind.PAID, False, BUNDLE)
    assert key_of(fact) == "paid:2000001024993299-2000000113755461"
    assert (fact.product, fact.quantity, fact.owner) == ("com.getsession.org.pro_sub", 1, None)
    assert fact.at == datetime(2025, 10, 1, 7, 9, 12, tzinfo=UTC)
    assert fact.period_end == datetime(2025, 10, 1, 7, 12, 12, tzinfo=UTC)
    assert received.signed_at is not None
    assert received.signed_at < fact.at


def test_a_genuine_renewal_info_counts_beside_its_own_transaction_only() -> None:
    verified = signed_data()
    transaction = verified.transaction(TRANSACTION)
    renewal = renewal_of(verified.renewal(RENEWAL, transaction))
    assert (renewal.renews, renewal.grace_until, renewal.ending) == (True, None, None)
    assert renewal.signed_at is not None
    with pytest.raises(Refused):
        verified.renewal(RENEWAL, {**transaction, "originalTransactionId": "1"})


def test_apples_library_reads_the_same() -> None:
    library = SignedDataVerifier([apple_root()], False, Environment.SANDBOX, BUNDLE, APP_ID)
    assert library.verify_and_decode_notification(TEST_NOTIFICATION).rawNotificationType == "TEST"
    theirs = library.verify_and_decode_signed_transaction(TRANSACTION)
    ours = signed_data().transaction(TRANSACTION)
    assert (theirs.transactionId, theirs.signedDate) == (ours["transactionId"], ours["signedDate"])
    assert library.verify_and_decode_renewal_info(RENEWAL).originalTransactionId == ours["originalTransactionId"]


def test_genuine_documents_of_another_app_are_refused() -> None:
    other = provider(bundle_id="com.example.coins")
    assert refused(receipt(signed_transaction=TRANSACTION), other) == "app"
    assert refused(notification(TEST_NOTIFICATION), other) == "app"


def test_genuine_documents_of_the_sandbox_are_refused_where_only_production_counts() -> None:
    production = provider(environments=["Production"])
    assert refused(receipt(signed_transaction=TRANSACTION), production) == "environment"
    assert refused(notification(TEST_NOTIFICATION), production) == "environment"


def test_a_simulators_root_does_not_vouch_for_them_and_apples_does_not_vouch_for_the_simulator() -> None:
    shop = Shop()
    simulated = SignedData(App(BUNDLE, APP_ID, ("Sandbox",)), Chains((shop.store.signer.root,)))
    with pytest.raises(Refused):
        simulated.transaction(TRANSACTION)
    ours = shop.store.config.bundle_id
    assert refused(shop.receipt(shop.buy()), provider(bundle_id=ours)) == "signature"


def test_one_genuine_document_is_not_another() -> None:
    assert refused(receipt(signed_transaction=RENEWAL)) == "app"  # a renewal info names none
    assert refused(receipt(signed_transaction=TEST_NOTIFICATION)) == "environment"
    assert refused(notification(TRANSACTION)) == "content"
    assert refused(notification(RENEWAL)) == "content"


@pytest.mark.parametrize("text", [TEST_NOTIFICATION, TRANSACTION], ids=["notification", "transaction"])
@pytest.mark.parametrize("segment", [0, 1, 2])
def test_no_character_of_them_can_be_changed(text: str, segment: int) -> None:
    """Every sixtieth character, and the last, whose spare bits would be lost in decoding."""
    message: Callable[[str], Message] = (
        notification if text == TEST_NOTIFICATION else lambda spoilt: receipt(signed_transaction=spoilt)
    )
    segments = text.split(".")
    whole, judge = segments[segment], provider()
    for at in {*range(0, len(whole), 60), len(whole) - 1}:
        other = "B" if whole[at] == "A" else "A"
        segments[segment] = whole[:at] + other + whole[at + 1 :]
        assert refused(message(".".join(segments)), judge) in ("form", "signature", "environment", "content")


def test_a_genuine_payload_cannot_be_relabelled_as_production() -> None:
    header, _, signature = TRANSACTION.split(".")
    relabelled = json.dumps({**decode(TRANSACTION).payload, "environment": "Production"})
    assert refused(receipt(signed_transaction=f"{header}.{base64url(relabelled.encode())}.{signature}")) == "signature"


@pytest.mark.parametrize(
    ("year", "first", "last"),
    [
        (2021, datetime(2021, 8, 25, 2, 50, 34, tzinfo=UTC), datetime(2023, 9, 24, 2, 50, 33, tzinfo=UTC)),
        (2023, datetime(2023, 9, 12, 19, 51, 53, tzinfo=UTC), datetime(2025, 10, 11, 19, 51, 52, tzinfo=UTC)),
        (2025, datetime(2025, 9, 19, 19, 44, 51, tzinfo=UTC), datetime(2027, 10, 13, 17, 47, 23, tzinfo=UTC)),
    ],
)
def test_each_leaf_that_apple_has_signed_with_is_good_in_its_time_only(
    year: int, first: datetime, last: datetime
) -> None:
    """Apple renewed it twice while this was written, under the same intermediate; the old purchases stay good."""
    chain, day = tuple(json.loads((FOLDER / f"chain_{year}.json").read_text())), timedelta(days=1)
    chains = Chains((apple_root(),))
    for moment in (first + day, last - day):
        assert chains.key_at(chain, moment).curve.name == "secp256r1"
    for moment in (first - day, last + day):
        with pytest.raises(UntrustedChain):
            chains.key_at(chain, moment)
