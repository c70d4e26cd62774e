"""The merchant's own keys, parsed once and checked against each other. Every refusal says what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from app.providers import Misconfigured
from plugins.wechat.settings import V3Settings

ALARM_BEFORE = timedelta(days=30)
KEY_BITS = 2048
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Credentials:
    """One merchant's keys. Secrets stay out of `repr`, since none of the key objects prints its content."""

    serial: str
    """Our certificate's serial number, 40 hexadecimal digits, as the Authorization header wants it."""
    private_key: RSAPrivateKey
    apiv3_key: AESGCM
    public_key_id: str
    """Empty without a platform public key."""
    public_key: RSAPublicKey | None
    certificate_ends: datetime

    def warn_if_ending(self, now: datetime) -> None:
        """The alarm before the end: at start-up, and then daily with the first call."""
        if self.certificate_ends - now < ALARM_BEFORE:
            _log.warning(
                "merchant_certificate_ends_soon",
                serial=self.serial,
                ends_at=self.certificate_ends.isoformat(),
                do="apply for a new API certificate on the merchant site (账户中心 > API安全) and configure it",
            )


def load_credentials(settings: V3Settings, now: datetime) -> Credentials:
    """Parse and check everything. Raises Misconfigured with a message that a person can act on."""
    private_key = _private_key(settings)
    certificate = _certificate(settings)
    _check_pair(private_key, certificate)
    _check_in_force(certificate, now)
    credentials = Credentials(
        serial=serial_of(certificate),
        private_key=private_key,
        apiv3_key=AESGCM(settings.apiv3_key.get_secret_value().encode()),
        public_key_id=settings.platform_public_key_id,
        public_key=_platform_public_key(settings, private_key.public_key()),
        certificate_ends=certificate.not_valid_after_utc,
    )
    credentials.warn_if_ending(now)
    return credentials


def serial_of(certificate: x509.Certificate) -> str:
    """The serial number as WeChat Pay writes it: upper-case hexadecimal."""
    return f"{certificate.serial_number:X}"


def _private_key(settings: V3Settings) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(settings.merchant_private_key.get_secret_value().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Misconfigured("merchant_private_key cannot be read: give apiclient_key.pem as downloaded") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size != KEY_BITS:
        raise Misconfigured("merchant_private_key is not an RSA key of 2048 bits: give apiclient_key.pem as downloaded")
    return key


def _certificate(settings: V3Settings) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(settings.merchant_certificate.encode())
    except ValueError:
        raise Misconfigured("merchant_certificate cannot be read: give apiclient_cert.pem as downloaded") from None


def _check_pair(key: RSAPrivateKey, certificate: x509.Certificate) -> None:
    if certificate.public_key() != key.public_key():
        raise Misconfigured(
            "merchant_private_key does not belong to merchant_certificate: take apiclient_key.pem and "
            f"apiclient_cert.pem from one and the same download (this certificate is number {serial_of(certificate)})"
        )


def _check_in_force(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Misconfigured(
            f"merchant_certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to "
            f"{certificate.not_valid_after_utc:%Y-%m-%d} only: apply for a new one on the merchant site"
        )


def _platform_public_key(settings: V3Settings, ours: RSAPublicKey) -> RSAPublicKey | None:
    if not settings.platform_public_key:
        return None
    pem = settings.platform_public_key
    if "BEGIN CERTIFICATE-----" in pem:
        raise Misconfigured("platform_public_key is a certificate: give pub_key.pem (微信支付公钥), not a certificate")
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Misconfigured("platform_public_key cannot be read: give pub_key.pem as downloaded") from None
    if key == ours:
        raise Misconfigured(
            "platform_public_key is our own merchant key: download WeChat Pay's (微信支付公钥) from the merchant site"
        )
    if not isinstance(key, RSAPublicKey) or key.key_size < KEY_BITS:
        raise Misconfigured("platform_public_key is not an RSA key of 2048 bits: give pub_key.pem as downloaded")
    return key
