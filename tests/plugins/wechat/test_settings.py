"""Settings are checked at start-up, and the message says what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from structlog.testing import capture_logs

from app.providers import Misconfigured, Provider
from app.providers.registry import build_accounts
from app.providers.testing.doubles import FixedClock, WsgiClient, tools
from plugins.wechat import plugin
from plugins.wechat.simulated.keys import Certified, certified
from plugins.wechat.v2.provider import V2Provider
from plugins.wechat.v3.provider import CertificateProvider, V3Provider
from tests.plugins.wechat.worlds import API_URL, V3World, other_config, our_config

NOW = FixedClock().now()


def build(table: dict[str, Any], clock: FixedClock | None = None) -> Provider:
    """Through the registry, as the service does it."""
    accounts = build_accounts(
        {"wechat-jp": {"plugin": "wechat", **table}},
        lambda name, live: replace(tools(clock=clock or FixedClock()), live=live),
        {"wechat": plugin},
    )
    account = accounts.get("wechat-jp")
    assert account is not None
    return account.provider


def v3(**changes: Any) -> dict[str, Any]:
    return our_config().settings_v3(API_URL) | changes


def v2(**changes: Any) -> dict[str, Any]:
    return our_config().settings_v2(API_URL) | changes


def ending(ends: datetime) -> Certified:
    return certified("1900000109", ends=ends)


def merchant(pair: Certified) -> dict[str, Any]:
    return {"merchant_private_key": pair.private_pem, "merchant_certificate": pair.certificate_pem}


def small_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)


def small_private_pem() -> str:
    return small_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def small_public_pem() -> str:
    return small_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_each_generation_builds_its_own_provider() -> None:
    assert isinstance(build(v3()), CertificateProvider)
    assert type(build(v3(platform_certificates=False))) is V3Provider
    assert isinstance(build(v2()), V2Provider)
    without_generation = {name: value for name, value in v3().items() if name != "generation"}
    assert isinstance(build(without_generation), CertificateProvider)
    assert build(v3()).account == build(v2()).account == "1900000109:wx2421b1c4370ec43b"


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"apiv3_key": "x" * 31}, "exactly 32 characters, this one has 31 bytes"),
        ({"apiv3_key": "x" * 16}, "exactly 32 characters"),
        ({"apiv3_key": "金" * 32}, "this one has 96 bytes"),
        ({"merchant_private_key": "MIIEvQ"}, "text of apiclient_key.pem"),
        (
            {"merchant_private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"},
            "merchant_private_key cannot be read: give apiclient_key.pem as downloaded",
        ),
        ({"merchant_private_key": small_private_pem()}, "not an RSA key of 2048 bits"),
        ({"merchant_certificate": "5157F09E"}, "text of apiclient_cert.pem"),
        (
            {"merchant_certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
            "merchant_certificate cannot be read",
        ),
        (
            {"merchant_certificate": other_config().merchant.certificate_pem},
            "merchant_private_key does not belong to merchant_certificate",
        ),
        (merchant(ending(NOW - timedelta(days=1))), "to 2026-01-01 only: apply for a new one"),
        ({"platform_public_key": our_config().merchant.public_pem}, "is our own merchant key: download WeChat Pay's"),
        ({"platform_public_key": our_config().public.certificate_pem}, "is a certificate: give pub_key.pem"),
        ({"platform_public_key": "pub_key.pem"}, "platform_public_key cannot be read"),
        ({"platform_public_key": small_public_pem()}, "not an RSA key of 2048 bits"),
        ({"platform_public_key": ""}, "come together"),
        ({"platform_public_key_id": "7777"}, "looks like PUB_KEY_ID_"),
        (
            {"platform_public_key": "", "platform_public_key_id": "", "platform_certificates": False},
            "nothing to verify with",
        ),
        ({"mchid": "wx2421b1c4370ec43b"}, "merchant number"),
        ({"appid": "1900000109"}, "starts with 'wx'"),
        ({"api_url": "https://api.mch.weixin.qq.com/v3/"}, "scheme and host only"),
        ({"ways": ["jsapi", "barcode"]}, "choose from jsapi, miniprogram, app, native, h5"),
        ({"ways": []}, "choose from"),
        ({"generation": "v4"}, "'v3' (the usual one) or 'v2'"),
        ({"api_key": "x" * 32}, "api_key"),
    ],
)
def test_v3_settings_that_cannot_work_say_what_to_do(changes: dict[str, Any], advice: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        build(v3(**changes))
    assert "wechat-jp" in str(refused.value)
    assert advice in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"api_key": ""}, "exactly 32 printable ASCII characters, this one has 0"),
        ({"api_key": "x" * 31}, "this one has 31"),
        ({"api_key": " " * 32}, "32 printable ASCII characters"),
        ({"sign_type": "SHA1"}, "sign_type"),
        ({"apiv3_key": "x" * 32}, "apiv3_key"),
    ],
)
def test_v2_settings_that_cannot_work_say_what_to_do(changes: dict[str, Any], advice: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        build(v2(**changes))
    assert advice in str(refused.value)


def test_real_money_goes_over_https_only() -> None:
    for table in (v3(api_url="http://127.0.0.1:9003"), v2(api_url="http://127.0.0.1:9003")):
        build({**table, "live": False})
        with pytest.raises(Misconfigured, match="over https only"):
            build(table)


def test_a_key_in_the_older_pem_form_is_taken_too() -> None:
    key = our_config().merchant.key
    older = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    assert "BEGIN RSA PRIVATE KEY" in older
    assert build(v3(merchant_private_key=older)).account == "1900000109:wx2421b1c4370ec43b"


def test_the_alarm_comes_before_the_certificate_ends() -> None:
    clock = FixedClock()
    with capture_logs() as at_start:
        build(v3(**merchant(ending(clock.now() + timedelta(days=29)))), clock)
        build(v3(**merchant(ending(clock.now() + timedelta(days=31)))), clock)
    (alarm,) = [event for event in at_start if event["event"] == "merchant_certificate_ends_soon"]
    assert alarm["log_level"] == "warning"
    assert alarm["ends_at"] == (clock.now() + timedelta(days=29)).isoformat()


def test_the_alarm_comes_in_a_process_that_runs_on_and_on() -> None:
    world = V3World(FixedClock())
    pair = ending(world.clock.now() + timedelta(days=40))
    provider = world.build({**world.settings(), **merchant(pair)}, world.tools())
    world.clock.advance(timedelta(days=20).total_seconds())
    assert isinstance(world.http, WsgiClient)

    with capture_logs() as logged:
        for _ in range(3):
            with pytest.raises(Misconfigured):  # this simulator knows the merchant by another certificate
                provider.query(world.unknown_ref())

    alarms = [event for event in logged if event["event"] == "merchant_certificate_ends_soon"]
    assert len(alarms) == 1
    assert alarms[0]["ends_at"] == datetime(2026, 2, 11, 3, 4, 5, tzinfo=UTC).isoformat()
