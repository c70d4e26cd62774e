"""Reads the configured keys and certificates once, and says in words a person can act on what is wrong with them."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from pydantic import SecretStr

from app.providers import Misconfigured
from plugins.alipay.certificates import read_certificates, root_serial_number, rsa_key, rsa_signed, serial_number
from plugins.alipay.encryption import AesContent
from plugins.alipay.settings import AlipaySettings

MIN_KEY_BITS = 2048
_ACCOUNTS = 32
_ARMOUR = re.compile(r"-----(BEGIN|END)[^-]*-----")
_BASE64_TEXT = re.compile(r"[A-Za-z0-9+/=\s]{200,}", re.ASCII)
"""Keys are longer than any path, and the key tool gives them as one line without armour."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """Certificate mode's files, read: Alipay's certificate first in `alipay`, the authority's after it if it came."""

    app_sn: str
    alipay_sn: str
    root_sn: str
    alipay: tuple[x509.Certificate, ...]
    roots: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Credentials:
    app_private_key: RSAPrivateKey = field(repr=False)
    alipay_public_key: RSAPublicKey
    certificates: Certificates | None
    aes: AesContent | None


def load(settings: AlipaySettings, now: datetime) -> Credentials:
    """Everything parsed and checked. Raises Misconfigured, never with a value in its text."""
    private_key = _private_key(settings.app_private_key)
    if settings.certificate_mode:
        certificates = _certificates(settings, private_key, now)
        alipay_key = rsa_key(certificates.alipay[0])
    else:
        certificates = None
        alipay_key = _public_key(settings.alipay_public_key)
    _refuse_own_key(private_key, alipay_key, "alipay_cert" if certificates else "alipay_public_key")
    return Credentials(private_key, alipay_key, certificates, _aes(settings.aes_key))


def _text(name: str, value: SecretStr | None) -> str:
    """The setting's text, or the text of the file that it names."""
    given = value.get_secret_value().strip() if value else ""
    if "-----BEGIN" in given or _BASE64_TEXT.fullmatch(given):
        return given
    try:
        return Path(given).read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise Misconfigured(f"{name}: neither a key or certificate (PEM or base64) nor a readable file") from None


def _der(name: str, value: SecretStr | None) -> bytes:
    """The key's bytes, whatever armour and line breaks it came with."""
    body = "".join(_ARMOUR.sub("", _text(name, value)).split())
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        raise Misconfigured(f"{name}: the text between the BEGIN and END lines is not base64") from None


def _private_key(value: SecretStr) -> RSAPrivateKey:
    key = _parsed_private_key(_der("app_private_key", value))
    _refuse_short("app_private_key", key.key_size)
    return key


@functools.lru_cache(maxsize=_ACCOUNTS)
def _parsed_private_key(der: bytes) -> RSAPrivateKey:
    """Parsing checks the key's primes, some 40 ms: once in a process, however many accounts and tests share it."""
    try:
        key = serialization.load_der_private_key(der, password=None)  # reads PKCS#1 and PKCS#8 alike
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Misconfigured(
            "app_private_key: not an unencrypted private key (PKCS#1 or PKCS#8); was a public key given instead?"
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise Misconfigured("app_private_key: not an RSA key; RSA2 is the only signature type supported")
    return key


def _public_key(value: SecretStr | None) -> RSAPublicKey:
    der = _der("alipay_public_key", value)
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise Misconfigured(
            "alipay_public_key: not a public key; a certificate belongs in alipay_cert, with app_cert and "
            "alipay_root_cert"
        ) from None
    if not isinstance(key, RSAPublicKey):
        raise Misconfigured("alipay_public_key: not an RSA key")
    _refuse_short("alipay_public_key", key.key_size)
    return key


def _refuse_short(name: str, bits: int) -> None:
    if bits < MIN_KEY_BITS:
        raise Misconfigured(f"{name}: the key has {bits} bits; RSA2 needs {MIN_KEY_BITS} or more")


def _refuse_own_key(private_key: RSAPrivateKey, alipay_key: RSAPublicKey, name: str) -> None:
    """The commonest mistake of all (python-alipay-sdk issues 21, 36, 64, 66): every check would then fail."""
    if private_key.public_key() == alipay_key:
        raise Misconfigured(
            f"{name}: this is the app's own public key; copy Alipay's, which the console shows after yours was uploaded"
        )


def _certificates(settings: AlipaySettings, private_key: RSAPrivateKey, now: datetime) -> Certificates:
    app = _read("app_cert", settings.app_cert)
    alipay = _read("alipay_cert", settings.alipay_cert)
    roots = rsa_signed(_read("alipay_root_cert", settings.alipay_root_cert))
    if not roots:
        raise Misconfigured("alipay_root_cert: no RSA-signed certificate in the file; download alipayRootCert.crt anew")
    _refuse_expired("app_cert", app[0], now)
    _refuse_expired("alipay_cert", alipay[0], now)
    if app[0].public_key() != private_key.public_key():
        raise Misconfigured(
            "app_cert: it does not belong to app_private_key; upload the request made with this key, or use its key"
        )
    _refuse_short("alipay_cert", _certified_key("alipay_cert", alipay[0]).key_size)
    return Certificates(serial_number(app[0]), serial_number(alipay[0]), root_serial_number(roots), alipay, roots)


def _read(name: str, value: SecretStr | None) -> tuple[x509.Certificate, ...]:
    found = read_certificates(_text(name, value).encode())
    if not found:
        raise Misconfigured(f"{name}: no readable certificate (PEM, BEGIN CERTIFICATE) in it")
    return found


def _certified_key(name: str, certificate: x509.Certificate) -> RSAPublicKey:
    try:
        return rsa_key(certificate)
    except ValueError:
        raise Misconfigured(f"{name}: not an RSA certificate; take alipayCertPublicKey_RSA2.crt") from None


def _refuse_expired(name: str, certificate: x509.Certificate, now: datetime) -> None:
    ends = certificate.not_valid_after_utc
    if ends < now:
        raise Misconfigured(
            f"{name}: the certificate expired on {ends:%Y-%m-%d}; download the new one from the console"
        )


def _aes(value: SecretStr | None) -> AesContent | None:
    if value is None:
        return None
    try:
        return AesContent(value.get_secret_value())
    except ValueError:
        raise Misconfigured("aes_key: not 16 bytes in base64, as the console shows it") from None
