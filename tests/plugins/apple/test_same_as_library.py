"""Our verification accepts and refuses what Apple's own library does, and Apple's library takes our simulator for it.

The library is asked through its public verifier, online checks off, strict mode on except for Apple's published test
certificates, which lack what strict mode wants.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier, VerificationException
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from app.providers.testing.doubles import FixedClock
from plugins.apple.chains import Chains, UntrustedChain
from plugins.apple.signed_data import App, Refused, SignedData
from plugins.apple.simulated.certificates import Signer, make_signer
from tests.plugins.apple.world import Shop, base64url, hmac_signed, relabelled

VECTORS = Path(__file__).parent / "vectors"
BUNDLE, APP_ID = "com.example.coins", 1234567890
CLOCK = FixedClock()
SIGNER = make_signer(CLOCK.now())
NOW_MS = int(CLOCK.now().timestamp()) * 1000
ENVIRONMENTS = {"Production": Environment.PRODUCTION, "Sandbox": Environment.SANDBOX}

TRANSACTION: dict[str, Any] = {
    "transactionId": "1",
    "originalTransactionId": "1",
    "bundleId": BUNDLE,
    "productId": "coins-600",
    "type": "Consumable",
    "quantity": 1,
    "purchaseDate": NOW_MS,
    "signedDate": NOW_MS,
    "inAppOwnershipType": "PURCHASED",
    "environment": "Production",
}
Verdict = Callable[[str], object]


def library(environment: str, root: bytes, bundle: str = BUNDLE, app_id: int = APP_ID) -> SignedDataVerifier:
    return SignedDataVerifier([root], False, ENVIRONMENTS[environment], bundle, app_id)


def ours(
    environment: Any, root: bytes, *, bundle: str = BUNDLE, app_id: int = APP_ID, strict: bool = True
) -> SignedData:
    return SignedData(App(bundle, app_id, (environment,)), Chains((root,), strict=strict))


def accepts(verdict: Verdict, text: str) -> bool:
    try:
        verdict(text)
    except (VerificationException, Refused):
        return False
    return True


def both(text: str, environment: str = "Production", root: bytes = SIGNER.root) -> tuple[bool, bool]:
    return (
        accepts(library(environment, root).verify_and_decode_signed_transaction, text),
        accepts(ours(environment, root).transaction, text),
    )


def with_chain(x5c: list[str]) -> str:
    """A transaction truly signed by the leaf, with another chain in its header."""
    return replace(SIGNER, x5c=tuple(x5c)).sign(TRANSACTION)


def changed_payload(text: str) -> str:
    header, _, signature = text.split(".")
    return ".".join((header, base64url(json.dumps(TRANSACTION | {"quantity": 10}).encode()), signature))


GOOD: Mapping[str, tuple[str, str]] = {
    "a production transaction": (SIGNER.sign(TRANSACTION), "Production"),
    "a sandbox transaction": (SIGNER.sign(TRANSACTION | {"environment": "Sandbox"}), "Sandbox"),
    "the third certificate is never read": (with_chain([*SIGNER.x5c[:2], "AAAA"]), "Production"),
    "signed half a year ago": (SIGNER.sign(TRANSACTION | {"signedDate": NOW_MS - 180 * 86_400_000}), "Production"),
}
_expired = make_signer(CLOCK.now(), leaf_from=timedelta(days=-900), leaf_until=timedelta(days=-100))
_unborn = make_signer(CLOCK.now(), leaf_from=timedelta(days=1))
_stranger = make_signer(CLOCK.now())
GENUINE = SIGNER.sign(TRANSACTION)
LEAF, INTERMEDIATE, ROOT = SIGNER.x5c
FORGED: Mapping[str, tuple[str, bytes]] = {
    "a leaf without Apple's mark": ((s := make_signer(CLOCK.now(), leaf_mark="1.2.3.4")).sign(TRANSACTION), s.root),
    "an intermediate without Apple's mark": (
        (s := make_signer(CLOCK.now(), intermediate_mark="1.2.3.4")).sign(TRANSACTION),
        s.root,
    ),
    "no mark at all": ((s := make_signer(CLOCK.now(), leaf_mark="", intermediate_mark="")).sign(TRANSACTION), s.root),
    "another bundle": (SIGNER.sign(TRANSACTION | {"bundleId": "com.example.other"}), SIGNER.root),
    "no bundle": (SIGNER.sign({k: v for k, v in TRANSACTION.items() if k != "bundleId"}), SIGNER.root),
    "algorithm none": (relabelled(GENUINE, alg="none", x5c=list(SIGNER.x5c)), SIGNER.root),
    "algorithm none, no signature": (
        relabelled(GENUINE, alg="none", x5c=list(SIGNER.x5c)).rpartition(".")[0] + ".",
        SIGNER.root,
    ),
    "algorithm HS256": (hmac_signed(TRANSACTION, SIGNER.x5c, base64.b64decode(LEAF)), SIGNER.root),
    "algorithm ES384": (relabelled(GENUINE, alg="ES384", x5c=list(SIGNER.x5c)), SIGNER.root),
    "no algorithm": (relabelled(GENUINE, x5c=list(SIGNER.x5c)), SIGNER.root),
    "a swapped leaf": (with_chain([_stranger.x5c[0], INTERMEDIATE, ROOT]), SIGNER.root),
    "a swapped intermediate": (with_chain([LEAF, _stranger.x5c[1], ROOT]), SIGNER.root),
    "the intermediate's own signature": (with_chain([INTERMEDIATE, INTERMEDIATE, ROOT]), SIGNER.root),
    "another key under the genuine chain": (replace(SIGNER, key=_stranger.key).sign(TRANSACTION), SIGNER.root),
    "an expired leaf": (_expired.sign(TRANSACTION), _expired.root),
    "a leaf of tomorrow": (_unborn.sign(TRANSACTION), _unborn.root),
    "another root": (_stranger.sign(TRANSACTION), SIGNER.root),
    "a changed payload": (changed_payload(GENUINE), SIGNER.root),
    "a changed signature": (GENUINE[:-8] + "AAAAAAAA", SIGNER.root),
    "an empty signature": (GENUINE.rpartition(".")[0] + ".", SIGNER.root),
    "two certificates": (with_chain([LEAF, INTERMEDIATE]), SIGNER.root),
    "four certificates": (with_chain([LEAF, INTERMEDIATE, ROOT, ROOT]), SIGNER.root),
    "no certificate": (with_chain([]), SIGNER.root),
    "certificates that are none": (with_chain(["AAAA", "AAAA", "AAAA"]), SIGNER.root),
    "a chain that is no base64": (with_chain(["*", "*", "*"]), SIGNER.root),
    "sandbox in production": (SIGNER.sign(TRANSACTION | {"environment": "Sandbox"}), SIGNER.root),
    "from Xcode": (SIGNER.sign(TRANSACTION | {"environment": "Xcode"}), SIGNER.root),
    "from a local test": (SIGNER.sign(TRANSACTION | {"environment": "LocalTesting"}), SIGNER.root),
    "from nowhere": (SIGNER.sign(TRANSACTION | {"environment": None}), SIGNER.root),
    "a time that overflows": (SIGNER.sign(TRANSACTION | {"signedDate": 10**18}), SIGNER.root),
    "not a token": ("a.b.c", SIGNER.root),
    "nothing": ("", SIGNER.root),
}


@pytest.mark.parametrize("name", GOOD)
def test_both_accept_what_is_genuine(name: str) -> None:
    text, environment = GOOD[name]
    assert both(text, environment) == (True, True)


@pytest.mark.parametrize("name", FORGED)
def test_both_refuse_what_is_forged(name: str) -> None:
    text, root = FORGED[name]
    assert both(text, root=root) == (False, False)


@pytest.mark.parametrize("name", FORGED)
def test_a_chain_seen_before_lets_nothing_more_in(name: str) -> None:
    text, root = FORGED[name]
    known = ours("Production", root)
    signer = {SIGNER.root: SIGNER, _expired.root: _expired, _unborn.root: _unborn}.get(root)
    if signer is not None:
        leaf_is_valid = {SIGNER.root: 0, _expired.root: -500, _unborn.root: 30}[root]
        known.transaction(signer.sign(TRANSACTION | {"signedDate": NOW_MS + leaf_is_valid * 86_400_000}))
    assert not accepts(known.transaction, text)


def test_production_refuses_a_production_purchase_of_a_sandbox_account() -> None:
    assert both(GENUINE, "Sandbox") == (False, False)


def test_xcode_is_refused_although_the_library_would_skip_its_cryptography() -> None:
    unsigned = hmac_signed(TRANSACTION | {"environment": "Xcode"}, SIGNER.x5c, b"k" * 32)
    lenient = SignedDataVerifier([SIGNER.root], False, Environment.XCODE, BUNDLE, APP_ID)
    assert accepts(lenient.verify_and_decode_signed_transaction, unsigned)
    assert not accepts(ours("Production", SIGNER.root).transaction, unsigned)


# Notifications: the same chain rules, and the app named by its container.

NOTIFICATION: dict[str, Any] = {
    "notificationType": "TEST",
    "notificationUUID": "1b2f4f0c-6a43-4c38-9d80-64b07a5bb8a1",
    "signedDate": NOW_MS,
    "data": {"environment": "Production", "bundleId": BUNDLE, "appAppleId": APP_ID},
}
DATA = NOTIFICATION["data"]
NOTIFICATIONS: Mapping[str, tuple[dict[str, Any], bool]] = {
    "ours": (NOTIFICATION, True),
    "another bundle": (NOTIFICATION | {"data": DATA | {"bundleId": "com.example.other"}}, False),
    "another app number": (NOTIFICATION | {"data": DATA | {"appAppleId": 99}}, False),
    "no app number": (NOTIFICATION | {"data": {"environment": "Production", "bundleId": BUNDLE}}, False),
    "sandbox in production": (NOTIFICATION | {"data": DATA | {"environment": "Sandbox"}}, False),
    "from Xcode": (NOTIFICATION | {"data": DATA | {"environment": "Xcode"}}, False),
    "nothing that names an app": ({k: v for k, v in NOTIFICATION.items() if k != "data"}, False),
    "a summary": ({k: v for k, v in NOTIFICATION.items() if k != "data"} | {"summary": DATA}, True),
    "another app's summary": (
        {k: v for k, v in NOTIFICATION.items() if k != "data"} | {"summary": DATA | {"appAppleId": 99}},
        False,
    ),
    "an external purchase": (
        {k: v for k, v in NOTIFICATION.items() if k != "data"}
        | {"externalPurchaseToken": {"externalPurchaseId": "1", "bundleId": BUNDLE, "appAppleId": APP_ID}},
        True,
    ),
    "an external purchase in the sandbox": (
        {k: v for k, v in NOTIFICATION.items() if k != "data"}
        | {"externalPurchaseToken": {"externalPurchaseId": "SANDBOX1", "bundleId": BUNDLE, "appAppleId": APP_ID}},
        False,
    ),
}


@pytest.mark.parametrize("name", NOTIFICATIONS)
def test_both_judge_a_notification_alike(name: str) -> None:
    payload, is_good = NOTIFICATIONS[name]
    for text, expected in ((SIGNER.sign(payload), is_good), (_stranger.sign(payload), False)):
        assert accepts(library("Production", SIGNER.root).verify_and_decode_notification, text) is expected
        assert accepts(ours("Production", SIGNER.root).notification, text) is expected


# Apple's published vectors.

MOCKS = {
    name: (VECTORS / "mock_signed_data" / name).read_text().strip()
    for name in ("transactionInfo", "renewalInfo", "testNotification", "wrongBundleId", "missingX5CHeaderClaim")
}
TEST_ROOT = (VECTORS / "testca" / "testCA.der").read_bytes()


def lenient_library(environment: str = "Sandbox", app_id: int = 1234) -> SignedDataVerifier:
    verifier = library(environment, TEST_ROOT, "com.example", app_id)
    verifier._chain_verifier.enable_strict_checks = False
    return verifier


def lenient_ours(environment: str = "Sandbox", app_id: int = 1234) -> SignedData:
    return ours(environment, TEST_ROOT, bundle="com.example", app_id=app_id, strict=False)


@pytest.mark.parametrize(
    ("name", "is_good"), [("transactionInfo", True), ("wrongBundleId", False), ("missingX5CHeaderClaim", False)]
)
def test_apples_sample_transactions(name: str, is_good: bool) -> None:
    assert accepts(lenient_library().verify_and_decode_signed_transaction, MOCKS[name]) is is_good
    assert accepts(lenient_ours().transaction, MOCKS[name]) is is_good


@pytest.mark.parametrize(
    ("name", "is_good"), [("testNotification", True), ("wrongBundleId", False), ("missingX5CHeaderClaim", False)]
)
def test_apples_sample_notifications(name: str, is_good: bool) -> None:
    assert accepts(lenient_library().verify_and_decode_notification, MOCKS[name]) is is_good
    assert accepts(lenient_ours().notification, MOCKS[name]) is is_good


@pytest.mark.parametrize("app_id", [1234, 1235])
def test_apples_sample_notification_is_of_the_sandbox(app_id: int) -> None:
    assert not accepts(lenient_library("Production", app_id).verify_and_decode_notification, MOCKS["testNotification"])
    assert not accepts(lenient_ours("Production", app_id).notification, MOCKS["testNotification"])


def test_apples_sample_renewal_info() -> None:
    assert accepts(lenient_library().verify_and_decode_renewal_info, MOCKS["renewalInfo"])
    assert lenient_ours().renewal(MOCKS["renewalInfo"], {"environment": "Sandbox"})["signedDate"] == 1672956154000


def test_strict_mode_refuses_apples_test_certificates() -> None:
    assert not accepts(
        library("Sandbox", TEST_ROOT, "com.example").verify_and_decode_signed_transaction, MOCKS["transactionInfo"]
    )
    assert not accepts(ours("Sandbox", TEST_ROOT, bundle="com.example").transaction, MOCKS["transactionInfo"])


def certificate(name: str) -> str:
    parsed = x509.load_pem_x509_certificate((VECTORS / "testca" / name).read_bytes())
    return base64.b64encode(parsed.public_bytes(Encoding.DER)).decode()


@pytest.mark.parametrize(
    ("leaf", "intermediate", "is_good"),
    [
        ("testLeaf.pem", "testIntermediate.pem", True),
        ("testInvalidOIDLeaf.pem", "testIntermediate.pem", False),
        ("testInvalidIntermediateLeaf.pem", "testInvalidOIDIntermediate.pem", False),
        ("testLeaf.pem", "testInvalidOIDIntermediate.pem", False),
    ],
)
def test_apples_test_chains(leaf: str, intermediate: str, is_good: bool) -> None:
    chain = (certificate(leaf), certificate(intermediate), certificate("testCA.pem"))
    within = CLOCK.now() - timedelta(days=62)  # 2025-11-01
    if is_good:
        assert Chains((TEST_ROOT,), strict=False).key_at(chain, within).curve.name == "secp256r1"
    else:
        with pytest.raises(UntrustedChain):
            Chains((TEST_ROOT,), strict=False).key_at(chain, within)


def test_apples_test_chain_is_not_good_for_ever() -> None:
    chain = tuple(certificate(name) for name in ("testLeaf.pem", "testIntermediate.pem", "testCA.pem"))
    chains = Chains((TEST_ROOT,), strict=False)
    chains.key_at(chain, CLOCK.now())
    with pytest.raises(UntrustedChain):
        chains.key_at(chain, CLOCK.now() + timedelta(days=16 * 365))


# Our simulator.


@pytest.mark.parametrize("environment", ["Production", "Sandbox"])
def test_the_library_accepts_what_the_simulator_signs(environment: str) -> None:
    shop = Shop()
    verifier = library(environment, shop.store.signer.root)
    bought = shop.subscribe(environment=environment)
    notification = json.loads(shop.notification("SUBSCRIBED", "INITIAL_BUY", bought).body)["signedPayload"]
    outer = verifier.verify_and_decode_notification(notification)
    assert outer.rawNotificationType == "SUBSCRIBED"
    assert outer.data is not None
    assert outer.data.signedTransactionInfo is not None
    assert outer.data.signedRenewalInfo is not None
    inner = verifier.verify_and_decode_signed_transaction(outer.data.signedTransactionInfo)
    assert (inner.transactionId, inner.rawType) == (bought.id, "Auto-Renewable Subscription")
    renewal = verifier.verify_and_decode_renewal_info(outer.data.signedRenewalInfo)
    assert renewal.originalTransactionId == bought.payload["originalTransactionId"]


def test_a_notification_of_another_app_number_is_refused_in_production() -> None:
    shop = Shop(app_apple_id=99)
    text = json.loads(shop.notification("ONE_TIME_CHARGE", "", shop.buy(environment="Production")).body)[
        "signedPayload"
    ]
    assert not accepts(library("Production", shop.store.signer.root).verify_and_decode_notification, text)
    assert not accepts(ours("Production", shop.store.signer.root).notification, text)
    assert accepts(ours("Production", shop.store.signer.root, app_id=99).notification, text)


def test_a_signer_of_the_wrong_curve_is_refused() -> None:
    with_ca_key = Signer((INTERMEDIATE, INTERMEDIATE, ROOT), SIGNER.root, SIGNER.key)
    assert both(with_ca_key.sign(TRANSACTION)) == (False, False)
