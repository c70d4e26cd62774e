"""The short hashes of a request's fields that a key of idempotency keeps: a conflict can say which field differs.

They decide nothing: whether two requests are the same is decided by the fingerprint. So three bytes are enough for a
name and three for its value. Rows of before 2026-11-29 keep a JSON document instead: each name with twelve digits.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping
from functools import lru_cache

DIGEST_LENGTH = 12
"""Hexadecimal digits of the hash of one field, as `differing_field` gets them."""
_PACKED = b"\x01"
_PART = 3
"""Bytes of a name, and of a value."""


def packed_digests(digests: Mapping[str, str]) -> bytes:
    """What the row keeps: of names with the hexadecimal hash of their values, six bytes each."""
    return _PACKED + b"".join([_name(name) + bytes.fromhex(digest[: 2 * _PART]) for name, digest in digests.items()])


def differing_field(kept: bytes | None, now: Mapping[str, str], *, first: str, optional: Collection[str]) -> str:
    """A field whose value is another one than in the request of before: `first`, if it is that one, else the first by
    name. `optional` are the fields that only some requests have. Empty where nothing was kept, or where the request of
    before had a field that no request has any more: bytes give no name back."""
    if not kept:
        return ""
    before, is_packed = _read(kept), kept.startswith(_PACKED)
    differing = list[str]()
    for name in {*now, *optional}:
        digest = now.get(name)
        value = bytes.fromhex(digest[: 2 * _PART]) if is_packed and digest is not None else digest
        if before.get(_name(name) if is_packed else name) != value:
            differing.append(name)
    return first if first in differing else min(differing, default="")


def _read(kept: bytes) -> Mapping[bytes | str, bytes | str]:
    if not kept.startswith(_PACKED):
        document: dict[bytes | str, bytes | str] = json.loads(kept)
        return document
    parts = [kept[at : at + 2 * _PART] for at in range(len(_PACKED), len(kept), 2 * _PART)]
    return {part[:_PART]: part[_PART:] for part in parts}


@lru_cache(maxsize=1024)  # the names are those of the API's bodies
def _name(name: str) -> bytes:
    return zlib.crc32(name.encode()).to_bytes(4, "big")[:_PART]
