"""App receipts byte by byte: as Apple writes them, as Xcode does, and as nobody does."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import pytest
from appstoreserverlibrary.receipt_utility import ReceiptUtility

from plugins.apple.app_receipts import MOST_TRANSACTIONS, MalformedReceipt, transactions_in_app_receipt
from plugins.apple.der import Element, Malformed, elements, only

# One purchase of a genuine sandbox receipt of 2020, and an attribute whose value is opaque: from the test assets of
# TPInAppReceipt (github.com/tikhop/TPInAppReceipt, `receipt-sandbox-legacy`, MIT), published by the app's maker.
PURCHASE = base64.b64decode(
    "MIIBhwIBEQIBAQSCAX0xggF5MAsCAgatAgEBBAIMADALAgIGsAIBAQQCFgAwCwICBrICAQEEAgwAMAsCAgazAgEBBAIMADALAgIGtAIBAQQCDAAw"
    "CwICBrUCAQEEAgwAMAsCAga2AgEBBAIMADAMAgIGpQIBAQQDAgEBMAwCAgarAgEBBAMCAQMwDAICBq4CAQEEAwIBADAMAgIGsQIBAQQDAgEAMAwC"
    "Aga3AgEBBAMCAQAwEgICBq8CAQEECQIHA41+p7BOizAbAgIGpwIBAQQSDBAxMDAwMDAwNjM3ODQwNzUyMBsCAgapAgEBBBIMEDEwMDAwMDA2MDMx"
    "Nzc1NzEwHwICBqgCAQEEFhYUMjAxOS0xMi0xMFQxMjo1NDo1OFowHwICBqoCAQEEFhYUMjAyMC0wMy0xMVQxNDoyNToyNlowHwICBqwCAQEEFhYU"
    "MjAxOS0xMi0xMFQxMjo1OTo1OFowJQICBqYCAQEEHAwaY29tLm51dGNhbGxhbGVydC5pbmFwcC5wcm8="
)
OPAQUE = bytes.fromhex("3018020104020102041026caf91cf7e98e6232a40b1764f4f166")
SIGNED_DATA, DATA = bytes.fromhex("06092a864886f70d010702"), bytes.fromhex("06092a864886f70d010701")
OCTETS, SEQUENCE, SET, EXPLICIT, UTF8 = 0x04, 0x30, 0x31, 0xA0, 0x0C


def der(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    length = len(body).to_bytes(3, "big").lstrip(b"\0")
    return bytes([tag, len(body)] if len(body) < 128 else [tag, 0x80 | len(length), *length]) + body


def endless(tag: int, *content: bytes) -> bytes:
    """An indefinite length, as Xcode writes it."""
    return bytes([tag, 0x80]) + b"".join(content) + b"\0\0"


def envelope(attributes: Iterable[bytes]) -> bytes:
    """With what follows the content in a genuine one: certificates and signers, which nobody reads here."""
    content = der(SEQUENCE, DATA, der(EXPLICIT, der(OCTETS, der(SET, *attributes))))
    rest = der(EXPLICIT, b"\x05\x00") + der(SET)
    return der(SEQUENCE, SIGNED_DATA, der(EXPLICIT, der(SEQUENCE, b"\x02\x01\x01", der(SET), content, rest)))


def read(data: bytes) -> tuple[str, ...]:
    return transactions_in_app_receipt(base64.b64encode(data).decode())


def purchase(number: int, bought_at: str) -> bytes:
    """The genuine purchase under another number and at another time."""
    renumbered = PURCHASE.replace(b"1000000637840752", b"%016d" % number)
    return renumbered.replace(b"2019-12-10T12:54:58Z", bought_at.encode())


def test_a_genuine_purchase_is_found_beside_attributes_that_are_no_elements() -> None:
    receipt = envelope([OPAQUE, PURCHASE])
    assert read(receipt) == ("1000000637840752",)
    assert (
        ReceiptUtility().extract_transaction_id_from_app_receipt(base64.b64encode(receipt).decode()) == read(receipt)[0]
    )


def test_of_a_thousand_purchases_the_newest_are_named() -> None:
    many = [
        purchase(7_000_000 + number, f"2019-12-10T12:{number // 60:02}:{number % 60:02}Z") for number in range(1000)
    ]
    found = read(envelope([OPAQUE, *many]))
    assert [int(number) for number in found] == [7_000_999 - place for place in range(MOST_TRANSACTIONS)]


def test_a_receipt_of_xcode_is_none() -> None:
    """Its lengths are indefinite, its numbers count from 0, and nothing in it was signed by Apple."""
    pair = [der(SEQUENCE, b"\x02\x02\x06\xa7", b"\x02\x01\x01", der(OCTETS, der(UTF8, b"0")))]
    attributes = der(SET, der(SEQUENCE, b"\x02\x01\x11", b"\x02\x01\x01", der(OCTETS, der(SET, *pair))))
    content = endless(SEQUENCE, DATA, endless(EXPLICIT, endless(OCTETS | 0x20, der(OCTETS, attributes))))
    xcode = endless(SEQUENCE, SIGNED_DATA, endless(EXPLICIT, endless(SEQUENCE, b"\x02\x01\x01", der(SET), content)))
    assert base64.b64encode(xcode).startswith(b"MIAGCSqGSIb3DQEHAqCA")
    with pytest.raises(MalformedReceipt):
        read(xcode)
    with pytest.raises(MalformedReceipt, match="names no purchase"):
        read(envelope([der(SEQUENCE, b"\x02\x01\x11", b"\x02\x01\x01", der(OCTETS, der(SET, *pair)))]))


def test_a_receipt_cut_anywhere_is_refused() -> None:
    whole = envelope([OPAQUE, PURCHASE])
    for length in range(len(whole)):
        with pytest.raises(MalformedReceipt):
            read(whole[:length])
    with pytest.raises(MalformedReceipt):
        read(whole + b"\0")


def test_a_changed_byte_gives_another_number_or_a_refusal() -> None:
    whole = envelope([OPAQUE, PURCHASE])
    for at in range(len(whole)):
        for value in (0x00, 0x1F, 0x80, 0x84, 0xFF):
            try:
                found = read(whole[:at] + bytes([value]) + whole[at + 1 :])
            except MalformedReceipt:
                continue
            assert found == ("1000000637840752",)


@pytest.mark.parametrize(
    "data",
    [b"\x30", b"\x30\x01", b"\x30\x80\x00\x00", b"\x30\x85\x00\x00\x00\x00\x00", b"\x1f\x01\x00", b"\x30\x82\x01"],
)
def test_what_is_no_element_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        elements(data)


def test_elements_follow_each_other() -> None:
    assert elements(b"") == []
    assert elements(b"\x05\x00\x02\x01\x07") == [Element(0x05, b""), Element(0x02, b"\x07")]
    with pytest.raises(Malformed):
        only(b"\x05\x00\x05\x00")
