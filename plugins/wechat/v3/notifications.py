"""Notifications of API v3: verify the raw bytes, open the envelope, read the document. Nothing here does I/O.

The answers are WeChat Pay's own words (official page 4012075420): 204 without a body accepts; 4xx or 5xx with code and
message refuses, and the message comes again. The status alone decides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.providers import Fact, Forged, Message, Received, Reply
from plugins.wechat.documents import Unreadable, inner, parse_json, text
from plugins.wechat.merchant import Merchant
from plugins.wechat.v3.authenticity import NotAuthentic, Verifier
from plugins.wechat.v3.contracts import contract_fact
from plugins.wechat.v3.reading import failed_at, payment_fact, refund_fact
from plugins.wechat.v3.signing import decrypt

MAX_BODY = 64 * 1024
ACCEPTED = Reply(204, "application/json", b"")
_READERS = {"TRANSACTION": payment_fact, "REFUND": refund_fact, "ENTRUST": contract_fact}
"""By the first word of `event_type`. Others (marketing, …) are genuine, and say nothing of interest."""
_ORDINARY = {"TRANSACTION.SUCCESS", "TRANSACTION.FAIL", "REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED"}
"""What must be readable. Other products (parking's TRANSACTION.PAY_BACK) use the same first words differently."""


def refusal(status: int, message: str) -> Reply:
    body = json.dumps({"code": "FAIL", "message": message}, ensure_ascii=False).encode()
    return Reply(status, "application/json", body)


NOT_STORED = refusal(503, "not stored, send again")


class NotificationReader:
    """Reads what comes in for one merchant."""

    def __init__(self, merchant: Merchant, verifier: Verifier, apiv3_key: AESGCM) -> None:
        self._merchant = merchant
        self._verifier = verifier
        self._apiv3_key = apiv3_key

    def read(self, message: Message) -> Received:
        """Facts and reply. Raises Forged for what is not authentic, not fresh, or not readable."""
        if message.source != "notification" or len(message.body) > MAX_BODY:
            raise Forged("not a notification of WeChat Pay", reply=refusal(400, "unreadable"))
        try:
            signed_at = self._verifier.check(message.headers, message.body)
        except NotAuthentic as error:
            raise Forged(f"notification refused: {error}", reply=refusal(401, "signature not accepted")) from None
        try:
            return self._open(message.body, signed_at)
        except Unreadable as error:
            raise Forged(f"signed, but unreadable: {error}", reply=refusal(400, "unreadable")) from None

    def _open(self, body: bytes, signed_at: datetime) -> Received:
        envelope = parse_json(body)
        event = text(envelope, "event_type")
        facts = self._facts(event, envelope, signed_at)
        return Received(
            facts=facts,
            note="" if facts else f"event {event} says nothing that is used here",
            reply=ACCEPTED,
            failure=NOT_STORED,
            message_id=text(envelope, "id"),
            signed_at=signed_at,
        )

    def _facts(self, event: str, envelope: Mapping[str, Any], signed_at: datetime) -> tuple[Fact, ...]:
        reader = _READERS.get(event.partition(".")[0])
        if reader is None:
            return ()
        try:
            document = parse_json(decrypt(self._apiv3_key, _resource(envelope)))
            return (failed_at(reader(document, self._merchant, signed_at), envelope),)
        except Unreadable:
            if event in _ORDINARY:
                raise
            return ()


def _resource(envelope: Mapping[str, Any]) -> Mapping[str, Any]:
    if text(envelope, "resource_type") != "encrypt-resource":
        raise Unreadable("resource_type is not encrypt-resource")
    return inner(envelope, "resource")
