"""Signatures of what endpoints get, by Standard Webhooks (specification 1.0.0, standardwebhooks.com, read 2026-11).

The receiver computes HMAC-SHA256 over `<id>.<timestamp>.<body>` with a secret that it shares with us. While a secret is
being replaced a message bears one signature for each, and a receiver is content with one that it can verify.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

SECRET_PREFIX = "whsec_"  # noqa: S105 - the beginning of every secret, no secret
SHORTEST_SECRET_BYTES = 24
LONGEST_SECRET_BYTES = 64


class BadSecret(ValueError):
    """A text that is no secret of Standard Webhooks. The message does not quote the text."""

    def __init__(self) -> None:
        super().__init__(
            f"write {SECRET_PREFIX} and {SHORTEST_SECRET_BYTES} to {LONGEST_SECRET_BYTES} random bytes in base64"
        )


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_bytes(text: str) -> bytes:
    """The key in a secret. Raises BadSecret."""
    if not text.startswith(SECRET_PREFIX):
        raise BadSecret
    encoded = text.removeprefix(SECRET_PREFIX)
    try:
        # Some senders leave the padding out, and the reference libraries accept that.
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadSecret from None
    if not SHORTEST_SECRET_BYTES <= len(key) <= LONGEST_SECRET_BYTES:
        raise BadSecret
    return key


def signed_headers(message_id: str, at: datetime, body: bytes, with_secrets: Sequence[str]) -> Mapping[str, str]:
    """The three headers of a message, with a signature by each of the secrets. Raises BadSecret."""
    timestamp = str(int(at.timestamp()))
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    signatures = [_signature(secret_bytes(secret), content) for secret in with_secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _signature(key: bytes, content: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
