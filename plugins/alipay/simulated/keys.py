"""Fresh keys and certificates for both sides of the simulator. Never for real use: they are made to be shown."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import NameOID

from plugins.alipay.certificates import read_certificates, root_serial_number, serial_number

APP_ID = "2021000000000001"
SELLER_ID = "2088000000000001"
SELLER_EMAIL = "shop@example.com"
_VALID = timedelta(days=3650)
_serials = itertools.count(0x2026_0001)


@dataclass(frozen=True, slots=True)
class DemoCertificates:
    """What certificate mode adds: the app's and Alipay's certificate from one authority, whose root is its own."""

    app_cert: str
    alipay_cert: str
    """Alipay's first, the authority's second, as some downloads have it."""
    root_cert: str
    authority_key: str = field(repr=False)

    @property
    def app_sn(self) -> str:
        return _first_sn(self.app_cert)

    @property
    def alipay_sn(self) -> str:
        return _first_sn(self.alipay_cert)

    @property
    def root_sn(self) -> str:
        return root_serial_number(read_certificates(self.root_cert.encode()))

    def renewed(self, alipay_private_key: str, now: datetime) -> str:
        """A new certificate of Alipay's for that key, with the authority's behind it, as `alipay_cert` is."""
        old, authority = read_certificates(self.alipay_cert.encode())
        key, issuer_key = load_private(alipay_private_key), load_private(self.authority_key)
        return _pem(_certificate(old.subject, key, authority.subject, issuer_key, now)) + _pem(authority)


@dataclass(frozen=True, slots=True)
class DemoKeys:
    """One app at one merchant, and the Alipay that answers it. Texts are PEM."""

    app_private_key: str = field(repr=False)
    alipay_private_key: str = field(repr=False)
    certificates: DemoCertificates | None = None
    app_id: str = APP_ID
    seller_id: str = SELLER_ID

    @property
    def app_public_key(self) -> str:
        return _public(self.app_private_key)

    @property
    def alipay_public_key(self) -> str:
        return _public(self.alipay_private_key)

    def settings(self, gateway: str) -> dict[str, Any]:
        """The plugin's part of a provider account that speaks to the simulator: certificate mode if there are any."""
        common = {
            "app_id": self.app_id,
            "seller_id": self.seller_id,
            "seller_email": SELLER_EMAIL,
            "gateway": gateway,
            "app_private_key": self.app_private_key,
        }
        if self.certificates is None:
            return common | {"alipay_public_key": self.alipay_public_key}
        return common | {
            "app_cert": self.certificates.app_cert,
            "alipay_cert": self.certificates.alipay_cert,
            "alipay_root_cert": self.certificates.root_cert,
        }

    def write(self, folder: Path) -> None:
        """Leave the two private keys in a folder, for the next start (key mode)."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("app_private_key", self.app_private_key), ("alipay_private_key", self.alipay_private_key)):
            path = folder / f"{name}.pem"
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")
        (folder / "alipay_public_key.pem").write_text(self.alipay_public_key, encoding="utf-8")


def read_keys(folder: Path) -> DemoKeys:
    """What `DemoKeys.write` left. Raises OSError when it is not there."""
    app, alipay = (folder / f"{name}_private_key.pem" for name in ("app", "alipay"))
    return DemoKeys(app.read_text(encoding="utf-8"), alipay.read_text(encoding="utf-8"))


def demo_keys(*, certificates_at: datetime | None = None) -> DemoKeys:
    """A fresh set; with certificates for certificate mode, valid around that time, if it is given."""
    app, alipay = _new_key(), _new_key()
    made = demo_certificates(app, alipay, certificates_at) if certificates_at else None
    return DemoKeys(_private(app), _private(alipay), made)


def demo_certificates(app: RSAPrivateKey, alipay: RSAPrivateKey, now: datetime) -> DemoCertificates:
    root_key, authority_key = _new_key(), _new_key()
    root_name, authority_name = _name("Simulated Authority R1"), _name("Simulated Authority Class 2 R1")
    root = _certificate(root_name, root_key, root_name, root_key, now)
    authority = _certificate(authority_name, authority_key, root_name, root_key, now)
    app_cert = _certificate(_name(f"{SELLER_ID}-{APP_ID}"), app, authority_name, authority_key, now)
    alipay_cert = _certificate(_name(f"Simulated Alipay-{SELLER_ID}"), alipay, authority_name, authority_key, now)
    return DemoCertificates(
        app_cert=_pem(app_cert),
        alipay_cert=_pem(alipay_cert) + _pem(authority),
        root_cert=_pem(root),
        authority_key=_private(authority_key),
    )


def _new_key() -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Simulator"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Demo"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _certificate(
    subject: x509.Name, key: RSAPrivateKey, issuer: x509.Name, issuer_key: RSAPrivateKey, now: datetime
) -> x509.Certificate:
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=next(_serials),
        not_valid_before=now - _VALID,
        not_valid_after=now + _VALID,
    )
    return builder.sign(issuer_key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _private(key: RSAPrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


@functools.cache
def _public(private_pem: str) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return load_private(private_pem).public_key().public_bytes(encoding, form).decode()


@functools.cache
def load_private(private_pem: str) -> RSAPrivateKey:
    """Reading a private key checks it, which takes longer than signing: so once for each."""
    key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("not an RSA key")
    return key


@functools.cache
def _first_sn(pem: str) -> str:
    return serial_number(read_certificates(pem.encode())[0])
