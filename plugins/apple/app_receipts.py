"""App receipts of StoreKit 1: a PKCS#7 envelope around records, read here for the transaction numbers alone.

Nothing in it is verified: Apple's own library has no check of its signature either. A number found here is a question
for the App Store Server API, never a proof.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from appstoreserverlibrary.receipt_utility import IN_APP_ARRAY, TRANSACTION_IDENTIFIER, ReceiptUtility

from plugins.apple.der import Element, Malformed, elements, only

MOST_TRANSACTIONS = 20
_PURCHASE_DATE = 1704
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2
_ID = re.compile(r"[0-9]{1,20}", re.ASCII)


class MalformedReceipt(ValueError):
    """Not a receipt of StoreKit 1, or one that names no transaction."""


def transactions_in_app_receipt(text: str) -> tuple[str, ...]:
    """The ids of the newest purchases in the receipt, newest first, at most 20. Raises MalformedReceipt.

    The newest are those that a client has just bought; what is older is found in the customer's history.
    """
    try:
        records = [_purchase(record) for record in _in_app_records(base64.b64decode(text, validate=True))]
    except ValueError as error:  # from base64, DER, UTF-8, and where there are more or fewer elements than there should
        raise MalformedReceipt(f"not an app receipt: {type(error).__name__}") from None
    found = [number for _, number in sorted(records, key=lambda record: record[0], reverse=True) if is_id(number)]
    if not found:
        raise MalformedReceipt("the receipt names no purchase")
    return tuple(dict.fromkeys(found))[:MOST_TRANSACTIONS]


def transaction_in_old_receipt(text: str) -> str:
    """The id in a receipt of the form before iOS 7, one per transaction. Raises MalformedReceipt."""
    try:
        found = ReceiptUtility().extract_transaction_id_from_transaction_receipt(text)
    except (ValueError, binascii.Error):
        found = None
    if found is None or not is_id(found):
        raise MalformedReceipt("not a transaction receipt")
    return found


def is_id(text: object) -> bool:
    """A transaction id, safe to put into a path. Xcode's receipts carry "0", which names nothing."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None and text.strip("0") != ""


def _in_app_records(data: bytes) -> Iterator[Element]:
    """Envelope { signed-data, [0] { { version, algorithms, { data, [0] octets }, … } } }. In the octets is the set of
    the receipt's attributes, and in each attribute of the kind wanted here the set of a purchase's."""
    kind, signed_data = elements(only(data).content)
    if kind.content != _SIGNED_DATA:
        raise Malformed("another envelope")
    _, _, encapsulated, *_ = elements(only(signed_data.content).content)
    _, octets = elements(encapsulated.content)
    for number, value in _attributes(only(only(octets.content).content)):
        if number == IN_APP_ARRAY:
            yield only(value)


def _purchase(record: Element) -> tuple[str, str]:
    """When (RFC 3339, which sorts as text) and which transaction."""
    values = {number: only(value).content.decode() for number, value in _attributes(record) if number in _WANTED}
    return values.get(_PURCHASE_DATE, ""), values.get(TRANSACTION_IDENTIFIER, "")


_WANTED = (TRANSACTION_IDENTIFIER, _PURCHASE_DATE)


def _attributes(of: Element) -> Iterator[tuple[int, bytes]]:
    """Number and value of each; most values are elements again, some are opaque."""
    for attribute in elements(of.content):
        number, _, value = elements(attribute.content)
        yield int.from_bytes(number.content), value.content
