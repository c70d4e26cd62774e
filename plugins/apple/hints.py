"""A number readable in a message that must not be believed. Worth a question to Apple, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.providers import Message, Ref
from plugins.apple.app_receipts import is_id
from plugins.apple.jws import MalformedJws, decode, read_json
from plugins.apple.signed_data import App


def hint_in(message: Message, app: App) -> Ref | None:
    """The first transaction that the message claims of our app, if one can be read."""
    try:
        document = read_json(message.body)
        if message.source == "notification":
            data = decode(document["signedPayload"]).payload["data"]
            return _hint(data["signedTransactionInfo"], app)
        texts = document.get("signed_transactions") or [document["signed_transaction"]]
        return next((hint for hint in (_hint(text, app) for text in texts) if hint is not None), None)
    except (MalformedJws, KeyError, TypeError):
        return None


def _hint(text: str, app: App) -> Ref | None:
    payload: Mapping[str, Any] = decode(text).payload
    number = payload.get("transactionId")
    is_ours = payload.get("bundleId") == app.bundle_id and payload.get("environment") in app.environments
    return Ref(theirs=number) if is_ours and isinstance(number, str) and is_id(number) else None
