"""WeChat Pay's side of the signatures of API v3: which key signs what, through a rotation and through the migration."""

from __future__ import annotations

import base64
import itertools
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.providers import Message
from plugins.wechat.documents import BEIJING
from plugins.wechat.simulated.books import Now
from plugins.wechat.simulated.keys import Certified, SimulatorConfig, certified
from plugins.wechat.v3.signing import ENVELOPE_ALGORITHM, SCHEME, answer_message, sign

PROBE = "WECHATPAY/SIGNTEST/"


@dataclass
class Situation:
    """What state the keys and bills are in; tests and the demo change it at any time."""

    kind: str = "certificate"
    """What signs notifications: `certificate`, `public_key`, or `migrating` (both, by turns)."""
    rotation: str = "none"
    """`none`, `announced` (the successor is listed, not used), `both` (by turns), `done`."""
    listing: str = "list"
    """What `/v3/certificates` says: `list`, `missing` (404) or `empty`."""
    probe_answers: int = 0
    """How many of the next answers carry a spoilt signature."""
    probe_notifications: int = 0
    bill: str = "made"
    """Trade bills are `made`, still `creating`, `missing`, `refused` (NO_AUTH), `corrupt` (not what the hash was made
    of), or `omit` a row."""
    fund_bill: str = "made"
    """Fund flow bills, in the words of `bill`."""


class PlatformSigner:
    def __init__(self, config: SimulatorConfig, situation: Situation, now: Now) -> None:
        self._config = config
        self._situation = situation
        self._now = now
        self._turns = itertools.count()
        self._cipher = AESGCM(config.apiv3_key.encode())
        self._stranger: Certified | None = None

    @property
    def listed(self) -> tuple[Certified, ...]:
        """The certificates that `/v3/certificates` shows now."""
        config = self._config
        return {
            "none": (config.platform,),
            "announced": (config.platform, config.successor),
            "both": (config.platform, config.successor),
            "done": (config.successor,),
        }[self._situation.rotation]

    def answer_headers(self, body: bytes, wanted: str) -> dict[str, str]:
        """Signed with the public key where the request's `Wechatpay-Serial` wants it, else with a certificate."""
        use_public = wanted == self._config.public_key_id
        headers = self._signed(body, *(self._public() if use_public else self._certificate()))
        if self._situation.probe_answers > 0:
            self._situation.probe_answers -= 1
            headers["Wechatpay-Signature"] = _spoilt(headers["Wechatpay-Signature"])
        return headers

    def notification(self, event: str, kind: str, document: Mapping[str, Any]) -> Message:
        """A notification as of now, signed by whatever signs notifications now."""
        body = self.envelope(event, kind, document)
        headers = self._signed(body, *self._key_for_notifications())
        if self._situation.probe_notifications > 0:
            self._situation.probe_notifications -= 1
            headers["Wechatpay-Signature"] = _spoilt(headers["Wechatpay-Signature"])
        return _message(headers, body)

    def forged(self, event: str, kind: str, document: Mapping[str, Any]) -> Message:
        """A notification signed with a stranger's key that names the serial number of a genuine key."""
        self._stranger = self._stranger or certified("a stranger")
        body = self.envelope(event, kind, document)
        _, serial = self._key_for_notifications()
        return _message(self._signed(body, self._stranger.key, serial), body)

    def envelope(self, event: str, kind: str, document: Mapping[str, Any]) -> bytes:
        sealed = self.seal(json.dumps(document, ensure_ascii=True).encode(), kind)
        envelope = {
            "id": str(uuid4()),
            "create_time": self._now().astimezone(BEIJING).isoformat(timespec="seconds"),
            "resource_type": "encrypt-resource",
            "event_type": event,
            "summary": "",
            "resource": sealed | {"original_type": kind},
        }
        return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()

    def seal(self, plain: bytes, associated_data: str) -> dict[str, str]:
        nonce = secrets.token_hex(6)
        sealed = self._cipher.encrypt(nonce.encode(), plain, associated_data.encode())
        return {
            "algorithm": ENVELOPE_ALGORITHM,
            "ciphertext": base64.b64encode(sealed).decode(),
            "nonce": nonce,
            "associated_data": associated_data,
        }

    def certificates(self) -> dict[str, Any]:
        """The body of `/v3/certificates`."""
        return {"data": [self._listing(each) for each in self.listed]}

    def _listing(self, each: Certified) -> dict[str, Any]:
        certificate = each.certificate
        return {
            "serial_no": each.serial,
            "effective_time": certificate.not_valid_before_utc.astimezone(BEIJING).isoformat(),
            "expire_time": certificate.not_valid_after_utc.astimezone(BEIJING).isoformat(),
            "encrypt_certificate": self.seal(each.certificate_pem.encode(), "certificate"),
        }

    def _key_for_notifications(self) -> tuple[RSAPrivateKey, str]:
        kind = self._situation.kind
        if kind == "public_key" or (kind == "migrating" and next(self._turns) % 2):
            return self._public()
        return self._certificate()

    def _public(self) -> tuple[RSAPrivateKey, str]:
        return self._config.public.key, self._config.public_key_id

    def _certificate(self) -> tuple[RSAPrivateKey, str]:
        use_successor = self._situation.rotation == "done" or (
            self._situation.rotation == "both" and next(self._turns) % 2
        )
        chosen = self._config.successor if use_successor else self._config.platform
        return chosen.key, chosen.serial

    def _signed(self, body: bytes, key: RSAPrivateKey, serial: str) -> dict[str, str]:
        timestamp, nonce = str(int(self._now().timestamp())), secrets.token_hex(16)
        return {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": sign(key, answer_message(timestamp, nonce, body)),
            "Wechatpay-Serial": serial,
            "Wechatpay-Signature-Type": SCHEME,
            "Request-ID": f"08{secrets.token_hex(12).upper()}",
        }


def _spoilt(signature: str) -> str:
    """As WeChat Pay spoils it to see whether merchants look."""
    return (PROBE + signature)[: len(signature)]


def _message(headers: Mapping[str, str], body: bytes) -> Message:
    lower = {name.lower(): value for name, value in headers.items()}
    return Message("notification", body, {**lower, "content-type": "application/json"})
