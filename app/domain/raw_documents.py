"""The provider's words behind a fact, as they are kept: compressed, for audit only.

What is kept begins with a byte that says its form:

    1   the JSON text, compressed by zlib
    2   the SHA-256 of that text: the words themselves were archived (`tillbook archive`)
    {   the JSON text itself: no words at all, or a fact of before 2026-11-29

What proves a fact (its seal, anchors) covers the SHA-256 and not the words, so it stays provable when the words are
gone, and the words stay provable where they went. Of the older facts it covers the words, so these are never archived.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any

COMPRESSED, ARCHIVED, PLAIN = b"\x01", b"\x02", b"{"
NO_WORDS = b"{}"
_WINDOW_BITS, _MEMORY_LEVEL = 13, 6
"""zlib reserves 64 KiB with these and 256 KiB by itself, which pushes all else out of the processor's nearest memory:
some 50 µs for each document instead of 170. The bytes become no more unless a document repeats itself after 8 KiB."""
_text_of = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class DocumentUnreadable(ValueError):
    """What is kept is in no form that the service writes."""


def packed_words(words: Mapping[str, Any]) -> bytes:
    """The words as they are kept. They are `printable`: JSON, without half characters."""
    if not words:
        return NO_WORDS
    packer = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL)
    return COMPRESSED + packer.compress(_text_of(words).encode()) + packer.flush()


def words_text(document: bytes) -> bytes | None:
    """The JSON text; None if it was archived. Raises DocumentUnreadable."""
    form = document[:1]
    if form == ARCHIVED:
        return None
    if form == PLAIN:
        return document
    try:
        return zlib.decompress(document[1:] if form == COMPRESSED else b"")
    except zlib.error:
        raise DocumentUnreadable("the words of a provider are kept in an unknown form") from None


def words_in(document: bytes) -> Mapping[str, Any]:
    """The words; none if they were archived. Raises DocumentUnreadable."""
    text = words_text(document)
    try:
        words: Mapping[str, Any] = {} if text is None else json.loads(text)
    except ValueError:
        raise DocumentUnreadable("the words of a provider are no JSON") from None
    return words


def words_digest(document: bytes) -> bytes:
    """SHA-256 of the JSON text. Raises DocumentUnreadable."""
    text = words_text(document)
    return document[1:] if text is None else hashlib.sha256(text).digest()


def archived(document: bytes) -> bytes:
    """The document without the words. Raises DocumentUnreadable."""
    return ARCHIVED + words_digest(document)


def proven_part(document: Any) -> object:
    """What a seal or an anchor covers: the digest, in hexadecimal; of an older fact the words."""
    if not isinstance(document, bytes):
        return document
    try:
        if document[:1] == COMPRESSED:  # at once, and not by `words_digest`: every fact comes here
            return hashlib.sha256(zlib.decompress(document[1:])).hexdigest()
        return words_in(document) if document[:1] == PLAIN else words_digest(document).hex()
    except (DocumentUnreadable, zlib.error):
        return document.hex()
