"""What cannot work, or must not be trusted, is refused before the first purchase."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from app.providers import Forged, Misconfigured, Tools, capabilities
from app.providers.testing.doubles import FixedClock, MemoryKeys, NoNetwork
from plugins.apple import plugin
from plugins.apple.settings import AppleSettings
from tests.plugins.apple.world import Shop

SHOP = Shop()


def pem(key: Any) -> str:
    encoded: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return encoded.decode()


def genuine(**changes: Any) -> dict[str, Any]:
    """Settings of an account at the real App Store."""
    settings = {
        "bundle_id": "com.example.coins",
        "app_apple_id": 1234567890,
        "issuer_id": "57246542-96fe-1a63-e053-0824d011072a",
        "key_id": "ABCDEFGHIJ",
        "private_key": pem(ec.generate_private_key(ec.SECP256R1())),
    } | changes
    return {name: value for name, value in settings.items() if value is not None}


def build(settings: dict[str, Any], *, live: bool) -> Any:
    tools = Tools(http=NoNetwork(), clock=FixedClock(), keys=MemoryKeys(), live=live)
    return plugin.build(AppleSettings.model_validate(settings), tools)


def test_a_live_account_needs_no_more_than_the_app_and_its_key() -> None:
    provider = build(genuine(), live=True)
    assert provider.account == "com.example.coins"
    assert provider.currencies == ()
    assert list(provider.ways) == ["store"]
    assert capabilities(provider) == ("scan", "bills", "payouts", "fulfil")


def test_a_live_account_believes_no_simulator() -> None:
    provider = build(genuine(), live=True)
    with pytest.raises(Forged, match="chain is not trusted"):
        provider.receive(SHOP.receipt(SHOP.buy()))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"trusted_roots": [SHOP.store.signer.trusted_root]}, "trusted_roots"),
        ({"production_url": "http://127.0.0.1:9103/production"}, "production_url"),
        ({"sandbox_url": "https://api.storekit-sandbox.apple.com.evil.example"}, "sandbox_url"),
        ({"legacy_production_url": "http://buy.itunes.apple.com"}, "legacy_production_url"),
        ({"app_apple_id": None}, "app_apple_id"),
    ],
)
def test_a_live_account_is_apples_alone(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        build(genuine(**changes), live=True)


def test_an_account_that_is_not_live_takes_the_sandbox_alone_unless_told() -> None:
    shop = Shop()
    settings = {name: value for name, value in shop.settings().items() if name != "environments"}
    provider = build(settings, live=False)
    assert provider.receive(shop.receipt(shop.buy())).facts
    with pytest.raises(Forged, match="environment"):
        provider.receive(shop.receipt(shop.buy(environment="Production")))


@pytest.mark.parametrize(
    "key",
    [
        "not a key",
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    ],
)
def test_a_key_that_cannot_sign_tokens_is_refused_without_being_quoted(key: str) -> None:
    with pytest.raises(Misconfigured, match="private_key") as caught:
        build(genuine(private_key=key), live=False)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"environments": []}, "environments"),
        ({"trusted_roots": ["AAAA"]}, "trusted_roots"),
        ({"trusted_roots": ["*"]}, "trusted_roots"),
        ({"bundle_id": "com.example.münzen"}, "bundle_id"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        build(genuine(**changes), live=False)


@pytest.mark.parametrize(
    "changes", [{"environments": ["Xcode"]}, {"environments": ["LocalTesting"]}, {"confirm": "maybe"}, {"bundle": "x"}]
)
def test_settings_that_mean_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AppleSettings.model_validate(genuine(**changes))
