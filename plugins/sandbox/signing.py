"""Signatures of the sandbox's protocol, both ways: HMAC-SHA256 over purpose, id, time and body.

    signed text  = purpose LF id LF timestamp LF body
    signature    = "v1=" + base64(HMAC-SHA256(secret, signed text))

The purpose (`notification`, `request POST /v1/payments`, `reply 200`) keeps one kind of message from being passed off
as another, though one secret signs them all. A reply repeats the id of its request, so that no other reply fits.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

MIN_SECRET_BYTES = 32
FRESH_SECONDS = 300
ID = "sandbox-id"
TIMESTAMP = "sandbox-timestamp"
SIGNATURE = "sandbox-signature"
MERCHANT = "sandbox-merchant"
_DIGITS = re.compile(r"[0-9]{1,12}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class BadSignature(Exception):
    """The signature is missing, malformed, or not made with our secret. The text says which, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Signed:
    """The signed envelope of a message that verified."""

    id: str
    timestamp: int
    """Seconds since 1970, by the sender's clock."""


class Signer:
    """Signs and verifies with one secret; prints without it."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        if len(self._secret) < MIN_SECRET_BYTES:
            raise ValueError(f"a secret has at least {MIN_SECRET_BYTES} bytes")

    def headers(self, purpose: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """The three headers that make this body a signed message."""
        signature = self._signature(purpose, message_id, str(timestamp), body)
        return {ID: message_id, TIMESTAMP: str(timestamp), SIGNATURE: signature}

    def verify(self, purpose: str, headers: Mapping[str, str], body: bytes) -> Signed:
        """The envelope, if the signature over exactly these bytes is ours. Raises BadSignature. Names in lower case."""
        message_id, timestamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
        if not _ID.fullmatch(message_id) or not _DIGITS.fullmatch(timestamp):
            raise BadSignature("id or time is missing or malformed")
        expected = self._signature(purpose, message_id, timestamp, body)
        given = headers.get(SIGNATURE, "")
        # Constant time, and over bytes: compare_digest raises on a str that is not ASCII.
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            raise BadSignature("the signature does not match")
        return Signed(message_id, int(timestamp))

    def _signature(self, purpose: str, message_id: str, timestamp: str, body: bytes) -> str:
        text = f"{purpose}\n{message_id}\n{timestamp}\n".encode() + body
        return "v1=" + base64.b64encode(hmac.digest(self._secret, text, hashlib.sha256)).decode()


def is_fresh(signed: Signed, now: float) -> bool:
    """Within five minutes of our clock, either way: an older message may be a recording."""
    return abs(now - signed.timestamp) <= FRESH_SECONDS
