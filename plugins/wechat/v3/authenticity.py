"""Whether bytes with `Wechatpay-…` headers come from WeChat Pay, and when it signed them. Answers and notifications
are signed alike.

Cheap checks first: a message that cannot be genuine costs a few comparisons, not an RSA operation. Probes, whose
signature WeChat Pay spoils on purpose (it then begins `WECHATPAY/SIGNTEST/`, official page 4012075420), fail like any
other wrong signature; they are meant to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.providers import Clock
from plugins.wechat.v3.signing import SCHEME, answer_message, verify

FRESH = timedelta(minutes=5)
_TIMESTAMP = re.compile(r"[1-9][0-9]{8,10}", re.ASCII)
_NONCE = re.compile(r"[!-~]{1,128}", re.ASCII)
_SERIAL = re.compile(r"[0-9A-Za-z_]{1,96}", re.ASCII)
MAX_SIGNATURE = 1024
FindKey = Callable[[str], RSAPublicKey | None]
"""From a serial number to the key that may sign under it now. Makes no call."""


class NotAuthentic(Exception):
    """Not from WeChat Pay, or not fresh. The text says which check failed, for the log."""


class Verifier:
    """Checks signatures by the keys that we hold, and the time by our clock."""

    def __init__(self, find: FindKey, clock: Clock) -> None:
        self._find = find
        self._clock = clock

    def check(self, headers: Mapping[str, str], body: bytes) -> datetime:
        """When WeChat Pay signed these bytes. Raises NotAuthentic. Header names in lower case."""
        if headers.get("wechatpay-signature-type", SCHEME) != SCHEME:
            raise NotAuthentic("another signature scheme")
        timestamp = _part(headers, "wechatpay-timestamp", _TIMESTAMP)
        nonce = _part(headers, "wechatpay-nonce", _NONCE)
        serial = _part(headers, "wechatpay-serial", _SERIAL)
        signed_at = datetime.fromtimestamp(int(timestamp), UTC)
        if abs(self._clock.now() - signed_at) > FRESH:
            raise NotAuthentic("signed more than five minutes away from our clock")
        key = self._find(serial)
        if key is None:
            raise NotAuthentic(f"no key {serial} is held")
        signature = headers.get("wechatpay-signature", "")
        if len(signature) > MAX_SIGNATURE or not verify(key, answer_message(timestamp, nonce, body), signature):
            raise NotAuthentic("the signature is wrong")
        return signed_at


def _part(headers: Mapping[str, str], name: str, shape: re.Pattern[str]) -> str:
    value = headers.get(name, "")
    if not shape.fullmatch(value):
        raise NotAuthentic(f"{name} is missing or malformed")
    return value
