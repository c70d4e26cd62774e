"""WeChat Pay's own keys: the public key from the configuration and the certificates in the key store, both at once.

During the migration from certificates to the public key messages signed with either arrive in parallel (official page
4012154180), and around a rotation two certificates sign, so the key is always chosen by serial number among those
that we hold. An unknown number is refused; looking it up at WeChat Pay would let anybody make us call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.providers import Clock, KeyStore, StoredKey
from plugins.wechat.merchant_certificate import serial_of


@dataclass(frozen=True, slots=True)
class PlatformCertificate:
    serial: str
    key: RSAPublicKey
    begins: datetime
    ends: datetime
    pem: bytes

    def in_force(self, now: datetime) -> bool:
        return self.begins <= now <= self.ends


class NotACertificate(ValueError):
    """The bytes are not a certificate with an RSA key."""


def read_certificate(pem: bytes) -> PlatformCertificate:
    """Parse one. Raises NotACertificate."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
    except (ValueError, TypeError) as error:
        raise NotACertificate("not a certificate in PEM") from error
    if not isinstance(key, RSAPublicKey):
        raise NotACertificate("not a certificate of an RSA key")
    return PlatformCertificate(
        serial_of(certificate), key, certificate.not_valid_before_utc, certificate.not_valid_after_utc, pem
    )


class PlatformKeys:
    """Finds the key for a serial number among those held. Certificates are parsed once and never thrown away here."""

    def __init__(self, public_key_id: str, public_key: RSAPublicKey | None, store: KeyStore, clock: Clock) -> None:
        self._public_key_id = public_key_id
        self._public_key = public_key
        self._store = store
        self._clock = clock
        self._parsed: dict[str, PlatformCertificate] = {}

    def find(self, serial: str) -> RSAPublicKey | None:
        """The key that may sign under this serial number now; None if there is none. No call goes out."""
        if self._public_key is not None and serial == self._public_key_id:
            return self._public_key
        certificate = self._certificate(serial)
        if certificate is None or not certificate.in_force(self._clock.now()):
            return None
        return certificate.key

    def keep(self, certificate: PlatformCertificate) -> None:
        """Add one to the store, next to those already there."""
        self._store.put(StoredKey(certificate.serial, certificate.pem, certificate.ends))

    def _certificate(self, serial: str) -> PlatformCertificate | None:
        stored = self._store.get(serial)
        if stored is None:
            return None
        known = self._parsed.get(serial)
        if known is None or known.pem != stored.value:
            try:
                known = read_certificate(stored.value)
            except NotACertificate:
                return None
            self._parsed[serial] = known
        return known
