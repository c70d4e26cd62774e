"""Keys for one simulated merchant and its WeChat Pay, and the settings that go with them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

KEY_BITS = 2048
BEGINS = datetime(2020, 1, 1, tzinfo=UTC)
ENDS = datetime(2040, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Certified:
    """An RSA key with a certificate of its own."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:X}"

    @property
    def private_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def certificate_pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def public_pem(self) -> str:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass(frozen=True)
class SimulatorConfig:
    """One merchant, and the keys on both sides. Make it with `generate_config`."""

    mchid: str
    appid: str
    merchant: Certified
    apiv3_key: str
    api_key: str
    platform: Certified
    """The platform certificate in use."""
    successor: Certified
    """The one that a rotation brings."""
    public_key_id: str
    public: Certified
    """The platform public key; its certificate is never shown."""
    sign_type: str = "HMAC-SHA256"
    """Of API v2 orders, only for `settings_v2`; the simulator takes either."""
    plan_ids: tuple[str, ...] = ("12535", "12536")
    """The merchant's templates for auto-debit."""

    def settings_v3(
        self, api_url: str, *, certificates: bool = True, public_key: bool = True, debits: bool = False
    ) -> dict[str, Any]:
        """The plugin's part of a provider account's table, for generation v3."""
        table: dict[str, Any] = {
            "generation": "v3",
            "mchid": self.mchid,
            "appid": self.appid,
            "merchant_private_key": self.merchant.private_pem,
            "merchant_certificate": self.merchant.certificate_pem,
            "apiv3_key": self.apiv3_key,
            "platform_certificates": certificates,
            "api_url": api_url,
        }
        if debits:
            table["plan_ids"] = list(self.plan_ids)
        if public_key:
            table |= {"platform_public_key_id": self.public_key_id, "platform_public_key": self.public.public_pem}
        return table

    def settings_v2(self, api_url: str, *, certificate: bool = False, debits: bool = False) -> dict[str, Any]:
        """The plugin's part of a provider account's table, for generation v2. With the certificate it can give money
        back, where something in front of the simulator speaks TLS."""
        table: dict[str, Any] = {
            "generation": "v2",
            "mchid": self.mchid,
            "appid": self.appid,
            "api_key": self.api_key,
            "sign_type": self.sign_type,
            "api_url": api_url,
        }
        if debits:
            table |= {"plan_ids": list(self.plan_ids), "sign_type": "MD5"}
        if certificate:
            table |= {
                "merchant_private_key": self.merchant.private_pem,
                "merchant_certificate": self.merchant.certificate_pem,
            }
        return table


def generate_config(mchid: str = "1900000109", appid: str = "wx2421b1c4370ec43b") -> SimulatorConfig:
    """Fresh keys; takes about a second. A demo generates them once and keeps the settings."""
    return SimulatorConfig(
        mchid=mchid,
        appid=appid,
        merchant=certified(mchid),
        apiv3_key=secrets.token_hex(16),
        api_key=secrets.token_hex(16),
        platform=certified("Tenpay.com sign"),
        successor=certified("Tenpay.com sign"),
        public_key_id=f"PUB_KEY_ID_0{mchid}2026010100000000",
        public=certified("never shown"),
    )


def certified(name: str, begins: datetime = BEGINS, ends: datetime = ENDS) -> Certified:
    """A fresh key with a self-signed certificate. WeChat Pay's serial numbers have 40 hexadecimal digits."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number((0x4 << 156) | secrets.randbits(156))
        .not_valid_before(begins)
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return Certified(key, certificate)
