"""Settings about who may call: what is accepted, and what is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from app.caller_settings import MOST_OTHER_KEYS, ApiKey, CallerSettings, UserJwt
from app.config import Settings
from app.domain.caps import CallerCaps, Cap

SECRET = "a secret that is long enough for a test of it"


def _pem(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


RSA, WEAK, CURVE = (
    _pem(rsa.generate_private_key(65537, 2048)),
    _pem(rsa.generate_private_key(65537, 1024)),
    _pem(ec.generate_private_key(ec.SECP256R1())),
)


@pytest.mark.parametrize(
    "values",
    [
        {"secret": SECRET, "other_secrets": ["short"]},
        {"secret": SECRET, "other_public_keys": [RSA]},
        {"other_secrets": [SECRET]},
        {"secret": SECRET, "other_secrets": [SECRET] * (MOST_OTHER_KEYS + 1)},
        {"algorithm": "RS256", "public_key": RSA, "other_secrets": [SECRET]},
        {"algorithm": "RS256", "public_key": RSA, "other_public_keys": ["pem"]},
        {"algorithm": "RS256", "public_key": RSA, "other_public_keys": [WEAK]},
        {"algorithm": "RS256", "public_key": RSA, "other_public_keys": [CURVE]},
        {"algorithm": "ES256", "public_key": CURVE, "other_public_keys": [RSA]},
        {"algorithm": "RS256", "other_public_keys": [RSA]},
        {"algorithm": "RS256", "jwks_url": "https://keys", "other_public_keys": [RSA]},
    ],
)
def test_further_keys_of_tokens_are_as_strong_as_the_first_and_of_its_kind(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        UserJwt.model_validate(values)
    assert SECRET not in str(refused.value.errors(include_input=False, include_url=False))


def test_further_keys_count_in_their_order() -> None:
    other = SECRET[::-1]
    assert UserJwt.model_validate({"secret": SECRET, "other_secrets": [other]}).secrets == (SECRET, other)
    keys = {"algorithm": "RS256", "public_key": RSA, "other_public_keys": [RSA]}
    assert UserJwt.model_validate(keys).public_keys == (RSA, RSA)


def test_a_secret_of_the_rotation_is_never_shown() -> None:
    settings = Settings(env="test", user_jwt=UserJwt.model_validate({"secret": SECRET, "other_secrets": [SECRET * 2]}))
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    "values",
    [
        {"grants": {"coin": {"per_call": -1}}},
        {"grants": {"coin": {"per_day": 2**63}}},
        {"grants": {"coin": {"per_hour": 1}}},
        {"grants": {"no coin": {"per_day": 1}}},
        {"refunds": {"coin": {"per_day": 1}}},
        {"refunds": {"cny": {"per_day": 1}}},
        {"spends": {"coin": {"per_day": 1}}},
    ],
)
def test_a_cap_that_cannot_be_meant_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CallerSettings.model_validate(values)


def test_a_unit_without_a_cap_of_its_own_has_that_of_the_star_and_none_of_another_verb() -> None:
    given = {"grants": {"coin": {"per_call": 5}, "*": {"per_day": 7}}, "refunds": {"CNY": {"per_day": 9}}}
    caps = CallerCaps("shop", (CallerSettings.model_validate(given).caps(),))
    assert caps.cap("grants", "coin") == Cap(5, None), "the star is for what has none of its own"
    assert caps.cap("grants", "gem") == Cap(None, 7)
    assert caps.cap("refunds", "CNY") == Cap(None, 9)
    assert caps.cap("refunds", "JPY") == caps.cap("debits", "coin") == Cap()


def test_an_expiry_has_a_zone() -> None:
    key = {"sha256": "0" * 64, "scopes": []}
    with pytest.raises(ValidationError):
        ApiKey.model_validate({**key, "expires_at": "2031-01-01T00:00:00"})
    ends = ApiKey.model_validate({**key, "expires_at": "2031-01-01T00:00:00Z"}).expires_at
    assert ends == datetime(2031, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("values", [{"assets": ["no coin"]}, {"assets": [""]}, {"user_requests_per_minute": -1}])
def test_other_settings_of_callers_are_checked(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(env="test", **values)
