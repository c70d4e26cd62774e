"""The little of DER (X.690) that receipts are made of: elements of a definite length, one within another.

Apple's own library reads receipts with `asn1`, which takes 1.7 seconds for the largest that a client may hand in; this
takes half a second (2026-11). Receipts of StoreKit testing in Xcode have indefinite lengths, and are none to us.
"""

from __future__ import annotations

from typing import NamedTuple

_LONG_FORM = 0x80
_LONGEST_LENGTH = 4
_HIGH_TAG = 0x1F


class Malformed(ValueError):
    """Not DER, or of another shape than was expected."""


class Element(NamedTuple):
    tag: int
    content: bytes


def elements(data: bytes) -> list[Element]:
    """The elements that the data is made of, without a byte left over. Raises Malformed."""
    found, at = [], 0
    try:
        while at < len(data):
            begins, ends = _extent(data, at)
            found.append(Element(data[at], data[begins:ends]))
            at = ends
    except IndexError:
        raise Malformed("cut short") from None
    return found


def only(data: bytes) -> Element:
    """The one element that the data is. Raises Malformed."""
    found = elements(data)
    if len(found) != 1:
        raise Malformed("not one element")
    return found[0]


def _extent(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element begins and ends."""
    length, begins = data[at + 1], at + 2
    if data[at] & _HIGH_TAG == _HIGH_TAG:
        raise Malformed("a tag of more than one byte")
    if length >= _LONG_FORM:
        size = length - _LONG_FORM
        if not 1 <= size <= _LONGEST_LENGTH:
            raise Malformed("an indefinite length, or one beyond all measure")
        length = int.from_bytes(data[begins : begins + size])
        begins += size
    if begins + length > len(data):
        raise Malformed("longer than what it is in")
    return begins, begins + length
