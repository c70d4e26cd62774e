"""Start-up checks: what a person is told when a key or certificate cannot work."""

from __future__ import annotations

import base64
import functools
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import ValidationError

from app.providers import Misconfigured, Tools
from app.providers.testing.doubles import FixedClock, MemoryKeys, NoNetwork
from plugins.alipay.provider import AlipayProvider
from plugins.alipay.settings import AlipaySettings
from tests.plugins.alipay.actors import GATEWAY, build, certificate_mode, intent_for, key_mode, strangers
from tests.plugins.alipay.samples import FOLDER

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PLAIN = serialization.NoEncryption()


@functools.cache
def short_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 1024)


def start(table: dict[str, Any], *, live: bool = False, clock: FixedClock | None = None) -> AlipayProvider:
    return build(table, Tools(http=NoNetwork(), clock=clock or FixedClock(), keys=MemoryKeys(), live=live))


def keys(**changed: Any) -> dict[str, Any]:
    return key_mode().settings(GATEWAY) | changed


def certified(**changed: Any) -> dict[str, Any]:
    return certificate_mode().settings(GATEWAY) | changed


def complaint(table: dict[str, Any], **options: Any) -> str:
    with pytest.raises(Misconfigured) as error:
        start(table, **options)
    return str(error.value)


def one_line(pem: str) -> str:
    return "".join(line for line in pem.splitlines() if "-----" not in line)


def pkcs1(pem: str, encoding: serialization.Encoding) -> bytes:
    key = serialization.load_pem_private_key(pem.encode(), None)
    return key.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, PLAIN)


def test_a_private_key_is_read_in_every_form_that_the_key_tool_gives(tmp_path: Path) -> None:
    pem = key_mode().app_private_key
    file = tmp_path / "key.pem"
    file.write_text(pem)
    forms = [
        pem,
        pem.replace("\n", "\r\n"),
        one_line(pem),
        pkcs1(pem, PEM).decode(),
        base64.b64encode(pkcs1(pem, DER)).decode(),
        str(file),
    ]
    for form in forms:
        assert start(keys(app_private_key=form)).account == "2021000000000001:2088000000000001"


def test_alipays_key_is_read_as_the_console_shows_it() -> None:
    assert start(keys(alipay_public_key=one_line(key_mode().alipay_public_key))).account


def test_the_apps_own_key_given_as_alipays_is_named_as_what_it_is() -> None:
    said = complaint(keys(alipay_public_key=key_mode().app_public_key))
    assert "alipay_public_key" in said
    assert "own public key" in said


def test_the_apps_own_certificate_given_as_alipays_is_named_as_what_it_is() -> None:
    made = certificate_mode().certificates
    assert made is not None
    assert "own public key" in complaint(certified(alipay_cert=made.app_cert))


def test_a_short_key_is_refused() -> None:
    private = short_key().private_bytes(PEM, serialization.PrivateFormat.PKCS8, PLAIN).decode()
    public = short_key().public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    assert "1024 bits" in complaint(keys(app_private_key=private))
    assert "1024 bits" in complaint(keys(alipay_public_key=public))


def test_a_key_of_another_kind_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    private = other.private_bytes(PEM, serialization.PrivateFormat.PKCS8, PLAIN).decode()
    public = other.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    assert "not an RSA key" in complaint(keys(app_private_key=private))
    assert "not an RSA key" in complaint(keys(alipay_public_key=public))


@pytest.mark.parametrize("name", ["app_private_key", "alipay_public_key"])
@pytest.mark.parametrize(
    "garbage",
    [
        "-----BEGIN PRIVATE KEY-----\nnot base64!\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        "A" * 1000,
        "/no/such/file.pem",
        "\x00",
        ".",
    ],
)
def test_garbage_is_refused_by_the_settings_name_and_never_repeated(name: str, garbage: str) -> None:
    said = complaint(keys(**{name: garbage}))
    assert name in said
    assert garbage not in said or garbage == "."


def test_keys_in_each_others_place_are_refused() -> None:
    assert "public key given instead" in complaint(keys(app_private_key=key_mode().app_public_key))
    assert "not a public key" in complaint(keys(alipay_public_key=key_mode().alipay_private_key))


def test_a_certificate_where_a_key_belongs_says_where_it_belongs() -> None:
    made = certificate_mode().certificates
    assert made is not None
    assert "alipay_cert" in complaint(keys(alipay_public_key=made.alipay_cert.split("-----END")[0] + "-----END X-----"))


def test_a_certificate_of_another_pair_is_refused() -> None:
    other = strangers().certificates
    assert other is not None
    assert "does not belong to app_private_key" in complaint(certified(app_cert=other.app_cert))


@pytest.mark.parametrize("name", ["app_cert", "alipay_cert", "alipay_root_cert"])
def test_a_file_without_a_certificate_is_named(name: str) -> None:
    said = complaint(certified(**{name: key_mode().app_public_key}))
    assert name in said


def test_an_expired_certificate_is_named_with_its_day() -> None:
    clock = FixedClock()
    clock.advance(timedelta(days=11 * 365).total_seconds())
    said = complaint(certified(), clock=clock)
    assert "expired on 2035" in said


def test_a_root_file_with_nothing_but_sm2_is_refused() -> None:
    first = (FOLDER / "alipayRootCert.crt").read_text().split("-----END CERTIFICATE-----")[0]
    assert "no RSA-signed" in complaint(certified(alipay_root_cert=first + "-----END CERTIFICATE-----"))


def test_half_a_certificate_mode_is_refused() -> None:
    for missing in ("app_cert", "alipay_cert", "alipay_root_cert"):
        with pytest.raises(ValidationError, match="certificate mode needs all"):
            AlipaySettings.model_validate({name: text for name, text in certified().items() if name != missing})


def test_both_modes_or_neither_are_refused() -> None:
    neither = {name: text for name, text in keys().items() if name != "alipay_public_key"}
    both = certified(alipay_public_key=key_mode().alipay_public_key)
    for table in (neither, both):
        with pytest.raises(ValidationError, match="either alipay_public_key"):
            AlipaySettings.model_validate(table)


@pytest.mark.parametrize("text", ["", "AAAA", "not base64", base64.b64encode(bytes(24)).decode()])
def test_an_odd_aes_key_is_refused(text: str) -> None:
    assert "aes_key" in complaint(keys(aes_key=text))


@pytest.mark.parametrize(
    ("gateway", "live", "said"),
    [
        ("https://openapi.alipaydev.com/gateway.do", False, "retired"),
        ("https://openapi.alipay.com/gateway.do", False, "real money"),
        ("https://openapi-sandbox.dl.alipaydev.com/gateway.do", True, "production"),
        ("http://localhost:8090/gateway.do", True, "https"),
    ],
)
def test_a_gateway_of_the_other_world_is_refused(gateway: str, live: bool, said: str) -> None:
    assert said in complaint(keys(gateway=gateway), live=live)


@pytest.mark.parametrize(
    ("live", "host"), [(True, "https://openapi.alipay.com/"), (False, "https://openapi-sandbox.dl.alipaydev.com/")]
)
def test_the_gateway_goes_by_whether_the_account_is_live(live: bool, host: str) -> None:
    table = {name: value for name, value in keys().items() if name != "gateway"}
    clock = FixedClock()
    assert start(table, live=live).start(intent_for(clock, "page")).action["url"].startswith(host)


def test_no_secret_is_in_the_settings_text() -> None:
    settings = AlipaySettings.model_validate(keys())
    assert one_line(key_mode().app_private_key)[:40] not in f"{settings!r} {settings}"
