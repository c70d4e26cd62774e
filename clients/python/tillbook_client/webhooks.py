"""Verifies what Tillbook pushes, by Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 with a shared
secret over id, time and body."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

TOLERANCE_SECONDS = 5 * 60
"""How far the time of a message may be from ours."""
_PREFIX = "whsec_"
_VERSION = "v1"


class NotGenuine(Exception):
    """Not a message of Tillbook's, or not a fresh one: answer 400, and do nothing."""


class WebhookSecrets:
    """The secrets of one endpoint, as Tillbook shows them (`whsec_…`): several while they are rotated."""

    def __init__(self, *secrets: str, now: Callable[[], float] = time.time) -> None:
        """Raises ValueError for what is no secret."""
        self._keys = [_key(secret) for secret in secrets]
        self._now = now
        if not self._keys:
            raise ValueError("an endpoint has at least one secret")

    def verify(self, headers: Mapping[str, str], body: bytes) -> Any:
        """The document in the body, the bytes of which have to be those that came. Raises NotGenuine.

        A genuine message may come more than once: `webhook-id` is the same then.
        """
        found = {name.lower(): value for name, value in headers.items()}
        try:
            message_id, moment = found["webhook-id"], found["webhook-timestamp"]
            signatures = found["webhook-signature"].split()
        except KeyError as missing:
            raise NotGenuine(f"there is no header {missing}") from None
        if not (moment.isascii() and moment.isdecimal()):
            raise NotGenuine("webhook-timestamp is no time")
        if abs(self._now() - int(moment)) > TOLERANCE_SECONDS:
            raise NotGenuine("the message is too old, or from the future")
        signed = b".".join([message_id.encode(), moment.encode(), body])
        if not self._is_signed(signed, signatures):
            raise NotGenuine("no signature is that of one of the secrets")
        try:
            return json.loads(body)
        except ValueError:
            raise NotGenuine("the body is no JSON") from None

    def _is_signed(self, signed: bytes, signatures: Iterable[str]) -> bool:
        wanted = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in self._keys]
        parts = (each.partition(",") for each in signatures)
        given = [value.encode() for version, _, value in parts if version == _VERSION]
        return any(hmac.compare_digest(one, other) for one in wanted for other in given)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a secret is `whsec_` and base64") from None
    if not key:
        raise ValueError("a secret is not empty")
    return key
