"""Compact JWS as the App Store writes it: ES256, and a chain of exactly three certificates in the header.

Everything that is not that is refused here, before a certificate is looked at: another algorithm (`none`, HS256, …),
another number of certificates, base64url that is not canonical, JSON with repeated names, NaN or lone surrogates.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

MAX_CHARACTERS = 64 * 1024
KEPT_HEADERS = 64
"""Headers kept taken apart, genuine or not. A stranger can push genuine ones out, which costs 40 µs for each."""
CHAIN_LENGTH = 3
_HALF = 32
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_ECDSA_SHA256 = ec.ECDSA(SHA256())


class MalformedJws(ValueError):
    """Not a JWS of the only form that is accepted. The text says which rule, never what was sent."""


@dataclass(frozen=True, slots=True)
class Jws:
    """A JWS taken apart. Nothing in it is verified yet."""

    x5c: tuple[str, ...]
    """Leaf, intermediate, root: base64 DER, as sent."""
    payload: Mapping[str, Any]
    signing_input: bytes
    signature: bytes
    """r and s, 32 bytes each."""


def decode(text: str) -> Jws:
    """Take a compact JWS apart. Raises MalformedJws."""
    if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
        raise MalformedJws("not a text of a sensible length")
    segments = text.split(".")
    if len(segments) != 3:
        raise MalformedJws("not three segments")
    x5c = _chain_in(segments[0])
    signature = _unbase64url(segments[2])
    if len(signature) != 2 * _HALF:
        raise MalformedJws("the signature is not 64 bytes")
    signing_input = text[: len(segments[0]) + 1 + len(segments[1])].encode("ascii")
    return Jws(x5c, read_json(_unbase64url(segments[1])), signing_input, signature)


def is_signed_by(jws: Jws, key: ec.EllipticCurvePublicKey) -> bool:
    """Whether the key's owner signed exactly this header and payload."""
    r, s = int.from_bytes(jws.signature[:_HALF], "big"), int.from_bytes(jws.signature[_HALF:], "big")
    try:
        key.verify(encode_dss_signature(r, s), jws.signing_input, _ECDSA_SHA256)
    except InvalidSignature:
        return False
    return True


def read_json(data: bytes) -> dict[str, Any]:
    """A JSON object. Raises MalformedJws for anything else, for what it cannot say twice, and for what no store takes.

    Fractions stay texts, since no float may come near money or times.
    """
    try:
        value = _DECODER.decode(data.decode("utf-8"))
        if b"\\u" in data:
            _refuse_unstorable(value)
    except (ValueError, RecursionError):
        raise MalformedJws("not plain JSON") from None
    if not isinstance(value, dict):
        raise MalformedJws("not a JSON object")
    return value


@lru_cache(maxsize=KEPT_HEADERS)
def _chain_in(segment: str) -> tuple[str, ...]:
    """The certificates that a header names. Apple signs thousands of documents with one header of 4 KiB."""
    header = read_json(_unbase64url(segment))
    if header.get("alg") != "ES256":
        raise MalformedJws("the algorithm is not ES256")
    if "crit" in header:
        raise MalformedJws("an extension that we do not know must be understood")
    x5c = header.get("x5c")
    if not isinstance(x5c, list) or len(x5c) != CHAIN_LENGTH or not all(isinstance(item, str) for item in x5c):
        raise MalformedJws("the certificate chain is not three certificates")
    return tuple(x5c)


def _unbase64url(segment: str) -> bytes:
    if not _BASE64URL.fullmatch(segment):
        raise MalformedJws("not base64url")
    try:
        data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        raise MalformedJws("not base64url") from None
    # The last character has bits to spare: without this, texts that differ would read as the same bytes.
    if (
        base64.urlsafe_b64encode(data[len(data) - len(data) % 3 :]).rstrip(b"=")
        != segment[len(data) // 3 * 4 :].encode()
    ):
        raise MalformedJws("not canonical base64url")
    return data


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedJws("a name is repeated")
    return value


def _no_constant(_: str) -> NoReturn:
    raise MalformedJws("not a JSON number")


def _refuse_unstorable(value: object) -> None:
    """Lone surrogates are no text, and no database takes a NUL in one."""
    text = json.dumps(value, ensure_ascii=False)
    text.encode("utf-8")
    if "\\u0000" in text:
        raise MalformedJws("a NUL in a text")


_DECODER = json.JSONDecoder(parse_float=str, parse_constant=_no_constant, object_pairs_hook=_without_repeats)
