"""`tillbook check` says what fits together and is wrong all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from app.cli.provider_accounts import account_lines
from app.cli.verdict import Verdict
from app.config import Settings
from app.providers import Checks, StoredKey
from app.providers.registry import build_accounts
from app.providers.testing.doubles import FixedClock, tools
from plugins.wechat import plugin
from plugins.wechat.checks import AUTHORITY
from plugins.wechat.settings import OFFICIAL_API
from plugins.wechat.simulated.keys import Certified, certified
from tests.plugins.wechat.worlds import API_URL, our_config

MCHID = "1900000109"
PUBLIC_KEY_ALONE = {"platform_certificates": False}
NO_PUBLIC_KEY = {"platform_public_key": "", "platform_public_key_id": ""}


def warnings(table: dict[str, Any], *held: Certified, at: FixedClock | None = None) -> list[str]:
    """What the whole command warns of, with these certificates in the key store."""
    clock = at or FixedClock()
    given = replace(tools(clock=clock), live=False)
    for one in held:
        certificate = one.certificate
        given.keys.put(
            StoredKey(f"{certificate.serial_number:X}", one.certificate_pem.encode(), certificate.not_valid_after_utc)
        )
    accounts = build_accounts({"w": {"plugin": "wechat", **table}}, lambda *_: given, {"wechat": plugin})
    account = accounts.get("w")
    assert account is not None
    lines = account_lines(Settings(env="test"), account, clock.now())
    return [line.text for line in lines if line.verdict is Verdict.WARNING]


def v3(**changes: Any) -> dict[str, Any]:
    return our_config().settings_v3(API_URL) | {"live": False} | changes


def v2(**changes: Any) -> dict[str, Any]:
    return our_config().settings_v2(API_URL, certificate=True) | {"live": False} | changes


def pair(of: Certified) -> dict[str, str]:
    return {"merchant_private_key": of.private_pem, "merchant_certificate": of.certificate_pem}


def issued_by(authority: str) -> Certified:
    """The merchant's certificate as an authority of that name issues it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject, issuer = ([x509.NameAttribute(NameOID.COMMON_NAME, name)] for name in (MCHID, authority))
    now = FixedClock().now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(x509.Name(issuer))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=300))
        .sign(rsa.generate_private_key(public_exponent=65537, key_size=2048), hashes.SHA256())
    )
    return Certified(key, certificate)


@pytest.mark.parametrize("table", [v3(), v3(**PUBLIC_KEY_ALONE), v2()], ids=["v3", "public key alone", "v2"])
def test_settings_that_are_right_are_warned_of_by_nothing(table: dict[str, Any]) -> None:
    assert warnings(table) == []


@pytest.mark.parametrize("table", [v3, v2])
def test_another_merchants_certificate_with_its_own_key_is_warned_of(table: Any) -> None:
    (text,) = warnings(table(**pair(certified("1900000222"))))
    assert "is that of merchant 1900000222, not of 1900000109" in text


@pytest.mark.parametrize("table", [v3, v2])
def test_a_certificate_that_wechat_pay_did_not_issue_is_warned_of(table: Any) -> None:
    official = {"api_url": OFFICIAL_API}
    (text,) = warnings(table(**official, **pair(issued_by("Some Other Authority"))))
    assert "is issued by Some Other Authority, not by WeChat Pay's authority" in text
    assert warnings(table(**official, **pair(issued_by(AUTHORITY)))) == []


def test_the_public_key_id_of_another_merchant_is_warned_of() -> None:
    (text,) = warnings(v3(platform_public_key_id="PUB_KEY_ID_0119000002222026010100000000"))
    assert "platform_public_key_id does not name merchant 1900000109" in text
    for right in (f"PUB_KEY_ID_01{MCHID}2026010100000000", "PUB_KEY_ID_0000000000000024101100397200000006"):
        assert warnings(v3(platform_public_key_id=right)) == []


def test_without_a_public_key_some_platform_certificate_must_be_held() -> None:
    (text,) = warnings(v3(**NO_PUBLIC_KEY))
    assert "no platform certificate is held yet" in text
    assert warnings(v3(**NO_PUBLIC_KEY), certified("Tenpay.com sign")) == []


@pytest.mark.parametrize(("days", "said"), [(-1, "ended on"), (29, "ends on"), (31, "")])
def test_the_newest_platform_certificate_is_the_one_whose_end_counts(days: int, said: str) -> None:
    now = FixedClock().now()
    old = certified("Tenpay.com sign", begins=now - timedelta(days=900), ends=now - timedelta(days=500))
    new = certified("Tenpay.com sign", begins=now - timedelta(days=400), ends=now + timedelta(days=days))
    told = warnings(v3(**NO_PUBLIC_KEY), old, new)
    assert [said in text for text in told] == ([True] if said else [])


def test_what_is_no_certificate_in_the_key_store_counts_as_none() -> None:
    given = replace(tools(clock=FixedClock()), live=False)
    given.keys.put(StoredKey("x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", None))
    accounts = build_accounts({"w": {"plugin": "wechat", **v3(**NO_PUBLIC_KEY)}}, lambda *_: given, {"wechat": plugin})
    account = accounts.get("w")
    assert account is not None
    assert isinstance(account.provider, Checks)
    assert any("no platform certificate" in text for text in account.provider.check())
