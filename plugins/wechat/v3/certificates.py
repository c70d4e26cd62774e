"""Downloading platform certificates (`GET /v3/certificates`): on the worker's timer, never in a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from app.providers import Clock, HttpResponse, Misconfigured, Unknown
from plugins.wechat.documents import Unreadable, inner, parse_json, text
from plugins.wechat.merchant_certificate import ALARM_BEFORE
from plugins.wechat.refusal import Refusal
from plugins.wechat.v3.authenticity import NotAuthentic, Verifier
from plugins.wechat.v3.client import V3Client
from plugins.wechat.v3.credentials import Credentials
from plugins.wechat.v3.platform_keys import NotACertificate, PlatformCertificate, PlatformKeys, read_certificate
from plugins.wechat.v3.signing import decrypt

PATH = "/v3/certificates"
NONE_FOR_US = frozenset({"RESOURCE_NOT_EXISTS", "NO_AUTH"})
"""What merchants are told who only have the public key (official page 4012154180; 403 was reported too)."""
_log = structlog.get_logger(__name__)


class CertificateDownload:
    """Fetches, opens, checks and keeps. Keys already held stay, whatever the answer is."""

    def __init__(self, client: V3Client, keys: PlatformKeys, credentials: Credentials, clock: Clock) -> None:
        self._client = client
        self._keys = keys
        self._credentials = credentials
        self._clock = clock

    def run(self) -> None:
        """Raises Misconfigured when there is no certificate for us and no public key either, Unknown when the answer
        cannot be believed."""
        try:
            answer = self._client.get_unverified(PATH)
        except Refusal as refusal:
            if refusal.code not in NONE_FOR_US:
                raise refusal.as_error() from None
            return self._none_for_us()
        certificates = self._read(answer)
        if not certificates:
            return self._none_for_us()
        self._check_signature(answer, certificates)
        for certificate in certificates:
            self._keys.keep(certificate)
        return self._warn_if_ending(certificates)

    def _none_for_us(self) -> None:
        if self._credentials.public_key is None:
            raise Misconfigured(
                "WeChat Pay has no platform certificate for this merchant: download the platform public key "
                "(微信支付公钥) from the merchant site and set platform_public_key and platform_public_key_id"
            )

    def _read(self, answer: HttpResponse) -> list[PlatformCertificate]:
        try:
            entries = parse_json(answer.body).get("data")
            if not isinstance(entries, list):
                raise Unreadable("data is not a list")
            return [self._open(entry) for entry in entries]
        except (Unreadable, NotACertificate) as error:
            raise Unknown(f"unreadable certificates: {error}") from None

    def _open(self, entry: Mapping[str, Any]) -> PlatformCertificate:
        """AES-GCM under the APIv3 key, which only WeChat Pay and we have, is what makes the certificate believable."""
        if not isinstance(entry, dict):
            raise Unreadable("an entry is not an object")
        certificate = read_certificate(decrypt(self._credentials.apiv3_key, inner(entry, "encrypt_certificate")))
        serial = text(entry, "serial_no")
        if certificate.serial != serial.upper().lstrip("0"):
            raise Unreadable("serial_no is not that of its certificate")
        if certificate.key == self._credentials.private_key.public_key():
            raise Unreadable("a platform certificate with our own key")
        return replace(certificate, serial=serial)  # kept under WeChat Pay's spelling: messages will use it

    def _check_signature(self, answer: HttpResponse, certificates: list[PlatformCertificate]) -> None:
        """By a key that is held, or else by one of the very certificates in the answer. A probe fails it: next time."""
        now = self._clock.now()
        offered = {each.serial: each.key for each in certificates if each.in_force(now)}
        verifier = Verifier(lambda serial: self._keys.find(serial) or offered.get(serial), self._clock)
        try:
            verifier.check(answer.headers, answer.body)
        except NotAuthentic as error:
            raise Unknown(f"the certificates are not WeChat Pay's: {error}") from None

    def _warn_if_ending(self, certificates: list[PlatformCertificate]) -> None:
        newest = max(certificates, key=lambda certificate: certificate.ends)
        if newest.ends - self._clock.now() < ALARM_BEFORE and self._credentials.public_key is None:
            _log.warning("platform_certificate_ends_soon", serial=newest.serial, ends_at=newest.ends.isoformat())
