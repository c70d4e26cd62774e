"""Receipts of StoreKit 1 as a device holds them: the envelope and records of an app receipt, without a signature that
anybody here would check; and the answer of verifyReceipt about one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from appstoreserverlibrary.receipt_utility import IN_APP_ARRAY, TRANSACTION_IDENTIFIER

from plugins.apple.simulated.purchases import Purchase

_INTEGER, _OCTETS, _UTF8, _IA5, _SEQUENCE, _SET, _EXPLICIT_0 = 0x02, 0x04, 0x0C, 0x16, 0x30, 0x31, 0xA0
_SIGNED_DATA_OID = bytes.fromhex("06092a864886f70d010702")  # 1.2.840.113549.1.7.2
_DATA_OID = bytes.fromhex("06092a864886f70d010701")  # 1.2.840.113549.1.7.1
_PRODUCT_ID, _PURCHASE_DATE, _BUNDLE_ID = 1702, 1704, 2


def app_receipt(bundle_id: str, purchases: Iterable[Purchase]) -> str:
    """The device's receipt in base64: ContentInfo { signedData, SignedData { …, EncapsulatedContentInfo } }."""
    records = [(_BUNDLE_ID, _der(_UTF8, bundle_id.encode()))]
    records += [(IN_APP_ARRAY, _set(_in_app(one.payload))) for one in purchases]
    content = _der(_OCTETS, _set(records))
    encapsulated = _der(_SEQUENCE, _DATA_OID + _der(_EXPLICIT_0, content))
    signed_data = _der(_SEQUENCE, _integer(1) + _der(_SET, b"") + encapsulated)
    return base64.b64encode(_der(_SEQUENCE, _SIGNED_DATA_OID + _der(_EXPLICIT_0, signed_data))).decode()


def verified(purchase: Purchase) -> dict[str, Any]:
    """The purchase as verifyReceipt lists it: numbers as texts."""
    payload = purchase.payload
    record: dict[str, Any] = {
        "transaction_id": payload["transactionId"],
        "original_transaction_id": payload["originalTransactionId"],
        "product_id": payload["productId"],
        "quantity": str(payload["quantity"]),
        "purchase_date_ms": str(payload["purchaseDate"]),
        "in_app_ownership_type": payload["inAppOwnershipType"],
        "is_trial_period": str(payload.get("offerDiscountType") == "FREE_TRIAL").lower(),
    }
    optional = {
        "web_order_line_item_id": "webOrderLineItemId",
        "expires_date_ms": "expiresDate",
        "cancellation_date_ms": "revocationDate",
        "app_account_token": "appAccountToken",
    }
    if payload.get("isUpgraded"):
        record["is_upgraded"] = "true"
    return record | {name: str(payload[source]) for name, source in optional.items() if source in payload}


def _in_app(payload: dict[str, Any]) -> list[tuple[int, bytes]]:
    bought_at = datetime.fromtimestamp(payload["purchaseDate"] // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        (_PRODUCT_ID, _der(_UTF8, payload["productId"].encode())),
        (TRANSACTION_IDENTIFIER, _der(_UTF8, payload["transactionId"].encode())),
        (_PURCHASE_DATE, _der(_IA5, bought_at.encode())),
    ]


def _set(records: Iterable[tuple[int, bytes]]) -> bytes:
    """Records of type, version and value."""
    items = (_der(_SEQUENCE, _integer(kind) + _integer(1) + _der(_OCTETS, value)) for kind, value in records)
    return _der(_SET, b"".join(items))


def _integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _der(tag: int, content: bytes) -> bytes:
    """Tag, definite length, content (X.690)."""
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content
