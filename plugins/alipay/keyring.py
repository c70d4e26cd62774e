"""The keys with which a message may be verified: the configured one, and renewals of Alipay's certificate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.providers import Clock, KeyStore, StoredKey
from plugins.alipay.certificates import NotTrusted, check_renewal, read_certificates, rsa_key, serial_number
from plugins.alipay.credentials import Certificates, Credentials


class Keyring:
    """Keys parsed once. Reading never leaves the process, so it may be used on the notification path."""

    def __init__(self, credentials: Credentials, store: KeyStore, clock: Clock) -> None:
        self._configured = credentials.alipay_public_key
        self._certificates = credentials.certificates
        self._store = store
        self._clock = clock
        self._renewals: dict[str, tuple[datetime, RSAPublicKey]] = {}
        """By SN; a certificate that came from the store and is not to be trusted is not in it."""
        self._looked_at: set[tuple[str, bytes]] = set()

    def candidates(self) -> Iterator[RSAPublicKey]:
        """All keys that are good now, the likeliest first."""
        yield self._configured
        if self._certificates is None:
            return
        self._read_store(self._certificates)
        now = self._clock.now()
        yield from [key for ends, key in self._renewals.values() if now <= ends]

    def knows(self, sn: str) -> bool:
        """Whether the certificate with that SN needs no download."""
        if self._certificates is None or sn == self._certificates.alipay_sn:
            return True
        self._read_store(self._certificates)
        return sn in self._renewals

    def learn(self, sn: str, pem: bytes) -> StoredKey:
        """Take in a renewed certificate. Raises NotTrusted unless it is one, and the one that was asked for."""
        if self._certificates is None:
            raise NotTrusted("there are no certificates in key mode")
        renewed = read_certificates(pem)
        leaf = check_renewal(renewed, self._certificates.alipay, self._certificates.roots, self._clock.now())
        if serial_number(leaf) != sn:
            raise NotTrusted("another certificate came than was asked for")
        if sn != self._certificates.alipay_sn:
            self._renewals[sn] = (leaf.not_valid_after_utc, _key_of(leaf))
        return StoredKey(sn, b"".join(map(_pem, renewed)), leaf.not_valid_after_utc)

    def _read_store(self, certificates: Certificates) -> None:
        for stored in self._store.all():
            mark = (stored.name, stored.value)
            if mark in self._looked_at or stored.name == certificates.alipay_sn:
                continue
            self._looked_at.add(mark)
            try:
                self.learn(stored.name, stored.value)
            except NotTrusted:
                continue


def _key_of(leaf: x509.Certificate) -> RSAPublicKey:
    try:
        return rsa_key(leaf)
    except ValueError as error:
        raise NotTrusted(str(error)) from None


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
