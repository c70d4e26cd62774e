"""The keys of API v3, parsed once and checked against each other. Every refusal says what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from app.providers import Misconfigured
from plugins.wechat.merchant_certificate import KEY_BITS, MerchantCertificate, load_merchant_certificate
from plugins.wechat.settings import V3Settings


@dataclass(frozen=True)
class Credentials:
    """One merchant's keys. Secrets stay out of `repr`, since none of the key objects prints its content."""

    merchant: MerchantCertificate
    apiv3_key: AESGCM
    public_key_id: str
    """Empty without a platform public key."""
    public_key: RSAPublicKey | None

    @property
    def serial(self) -> str:
        """Our certificate's serial number, as the Authorization header wants it."""
        return self.merchant.serial

    @property
    def private_key(self) -> RSAPrivateKey:
        return self.merchant.private_key


def load_credentials(settings: V3Settings, now: datetime) -> Credentials:
    """Parse and check everything. Raises Misconfigured with a message that a person can act on."""
    merchant = load_merchant_certificate(
        settings.merchant_private_key.get_secret_value(), settings.merchant_certificate, now
    )
    return Credentials(
        merchant=merchant,
        apiv3_key=AESGCM(settings.apiv3_key.get_secret_value().encode()),
        public_key_id=settings.platform_public_key_id,
        public_key=_platform_public_key(settings, merchant.private_key.public_key()),
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
