"""What `tillbook check` says beside what the settings refuse: keys that fit together, but are another merchant's; and
certificates of WeChat Pay's in the key store. No call goes out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from app.providers import KeyStore
from plugins.wechat.merchant_certificate import ALARM_BEFORE, MerchantCertificate
from plugins.wechat.settings import OFFICIAL_API, AccountSettings, V3Settings
from plugins.wechat.v3.platform_keys import NotACertificate, PlatformCertificate, read_certificate

AUTHORITY = "Tenpay.com Root CA"
"""Who issues merchants' certificates (API 证书) and WeChat Pay's own (seen on certificates of 2016 to 2025)."""
MASKED = "0" * 10
"""Stands for the merchant's number in the ids that the official documents print."""


def check_merchant(settings: AccountSettings, certificate: MerchantCertificate) -> Iterator[str]:
    """The merchant's own certificate: is it this merchant's, and one that WeChat Pay knows?

    Its subject's common name is the merchant's number. That key and certificate belong together is checked before.
    """
    holder = certificate.holder
    if holder.isdigit() and holder != settings.mchid:
        yield (
            f"merchant_certificate is that of merchant {holder}, not of {settings.mchid}: give apiclient_cert.pem and"
            " apiclient_key.pem of this merchant, or correct mchid"
        )
    if settings.api_url == OFFICIAL_API and certificate.issuer != AUTHORITY:
        yield (
            f"merchant_certificate is issued by {certificate.issuer or 'nobody'}, not by WeChat Pay's authority"
            f" ({AUTHORITY}): give apiclient_cert.pem as downloaded from the merchant site"
        )


def check_platform(settings: V3Settings, store: KeyStore, now: datetime) -> Iterator[str]:
    """WeChat Pay's own keys: is the public key's id this merchant's, and is there a certificate that goes on?

    An id is `PUB_KEY_ID_01`, the merchant's number, and the date (seen in configurations of 2024 to 2026).
    """
    name = settings.platform_public_key_id
    if name and settings.mchid not in name and MASKED not in name:
        yield (
            f"platform_public_key_id does not name merchant {settings.mchid}: is it another merchant's? Each merchant"
            " has a key of its own (微信支付公钥): give id and pub_key.pem from one download"
        )
    if settings.platform_certificates:
        yield from _check_certificates(store, now, has_public_key=bool(name))


def _check_certificates(store: KeyStore, now: datetime, *, has_public_key: bool) -> Iterator[str]:
    held = [certificate for stored in store.all() if (certificate := _readable(stored.value)) is not None]
    if not held:
        if not has_public_key:
            yield "no platform certificate is held yet: notifications are refused until the worker has downloaded one"
        return
    newest = max(held, key=lambda certificate: certificate.ends)
    if newest.ends <= now:
        text = f"the newest platform certificate ended on {newest.ends:%Y-%m-%d}"
    elif newest.ends - now < ALARM_BEFORE:
        text = f"the newest platform certificate ends on {newest.ends:%Y-%m-%d}"
    else:
        return
    yield f"{text}: does the worker run, and can it reach WeChat Pay? Or give the platform public key"


def _readable(pem: bytes) -> PlatformCertificate | None:
    try:
        return read_certificate(pem)
    except NotACertificate:
        return None
