"""The merchant's own key pair (API 证书): apiclient_key.pem and apiclient_cert.pem, parsed once and checked against
each other. v3 signs with it, v2 shows it in TLS. Every refusal says what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from app.providers import Misconfigured

ALARM_BEFORE = timedelta(days=30)
KEY_BITS = 2048
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class MerchantCertificate:
    """Secrets stay out of `repr`, since the key object does not print its content."""

    private_key: RSAPrivateKey
    serial: str
    """40 hexadecimal digits, as WeChat Pay writes it."""
    ends: datetime
    holder: str
    """The common name of its subject: the merchant's number."""
    issuer: str
    """The common name of who issued it."""


class EndingAlarm:
    """Warns before the certificate ends: at start-up, and then daily with the first call."""

    def __init__(self, certificate: MerchantCertificate) -> None:
        self._certificate = certificate
        self._looked_on = date.min

    def look(self, now: datetime) -> None:
        """To be called with every call; once a day it looks."""
        if now.date() == self._looked_on:
            return
        self._looked_on = now.date()
        if self._certificate.ends - now < ALARM_BEFORE:
            _log.warning(
                "merchant_certificate_ends_soon",
                serial=self._certificate.serial,
                ends_at=self._certificate.ends.isoformat(),
                do="apply for a new API certificate on the merchant site (账户中心 > API安全) and configure it",
            )


def load_merchant_certificate(private_pem: str, certificate_pem: str, now: datetime) -> MerchantCertificate:
    """Parse and check both. Raises Misconfigured with a message that a person can act on."""
    private_key = _private_key(private_pem)
    certificate = _certificate(certificate_pem)
    _check_pair(private_key, certificate)
    _check_in_force(certificate, now)
    return MerchantCertificate(
        private_key,
        serial_of(certificate),
        certificate.not_valid_after_utc,
        holder=_common_name(certificate.subject),
        issuer=_common_name(certificate.issuer),
    )


def serial_of(certificate: x509.Certificate) -> str:
    """The serial number as WeChat Pay writes it: upper-case hexadecimal."""
    return f"{certificate.serial_number:X}"


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _private_key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Misconfigured("merchant_private_key cannot be read: give apiclient_key.pem as downloaded") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size != KEY_BITS:
        raise Misconfigured("merchant_private_key is not an RSA key of 2048 bits: give apiclient_key.pem as downloaded")
    return key


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
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
