"""JSON that can be read in one way only, and in bounded time: for messages, answers and documents of providers.

Two readers that disagree about one document (a repeated name, a number beyond the reader's range) are how a signed
message comes to mean something that its signer never said.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NoReturn

from app.providers.http import MAX_RESPONSE_BYTES

LARGEST_DOCUMENT = MAX_RESPONSE_BYTES
"""Bytes of a document, unless the caller says less."""
DEEPEST = 32
"""Objects and lists inside one another. Providers' documents have five or six."""
LONGEST_INTEGER = 19
"""Digits of a whole number: those of the largest 64-bit one. Longer numbers are texts at every provider."""
LONGEST_FRACTION = 40
"""Characters of a number with a fraction or an exponent."""
LARGEST_EXPONENT = 20
"""Places that such a number may reach to the left or the right of its point, so that it can be reckoned with."""
_OPENED = re.compile(rb'"(?:[^"\\]|\\.)*+"|([\[{])|([\]}])', re.DOTALL)


class UnreadableJson(ValueError):
    """Not a JSON document, or one that could be read in two ways. The text quotes nothing of it."""


def read_json(
    body: bytes, *, decimals: bool = False, fraction_texts: bool = False, most_bytes: int = LARGEST_DOCUMENT
) -> Any:
    """The value in these bytes. Raises UnreadableJson.

    Refused: another charset than UTF-8, a byte order mark, a repeated name, NaN and Infinity, a number too long, a
    document too deep or too large. A number with a fraction or an exponent is refused too, since no float may come
    near money; with `decimals` such a number is read exactly, as a Decimal, and with `fraction_texts` it stays the
    text that it is: for members that nobody reckons with, in a document that is kept as JSON.
    """
    if len(body) > most_bytes:
        raise UnreadableJson(f"larger than {most_bytes} bytes")
    if body.count(b"{") + body.count(b"[") > DEEPEST and _is_too_deep(body):
        raise UnreadableJson(f"deeper than {DEEPEST} objects and lists")
    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=unique_members,
            parse_constant=no_constant,
            parse_int=_whole,
            parse_float=_exact if decimals else _short if fraction_texts else _no_fraction,
        )
    except UnreadableJson:
        raise
    except (ValueError, RecursionError):  # the exception itself quotes the document
        raise UnreadableJson("not a JSON document") from None


def read_json_object(
    body: bytes, *, decimals: bool = False, fraction_texts: bool = False, most_bytes: int = LARGEST_DOCUMENT
) -> dict[str, Any]:
    """The JSON object in these bytes; anything else is refused as `read_json` refuses. Raises UnreadableJson."""
    value = read_json(body, decimals=decimals, fraction_texts=fraction_texts, most_bytes=most_bytes)
    if not isinstance(value, dict):
        raise UnreadableJson("not a JSON object")
    return value


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `object_pairs_hook`: an object whose names differ. Raises UnreadableJson."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise UnreadableJson("a name is repeated")
    return members


def no_constant(_: str) -> NoReturn:
    """For `parse_constant`: NaN and Infinity are no JSON. Raises UnreadableJson."""
    raise UnreadableJson("NaN or Infinity is no number")


def _is_too_deep(body: bytes) -> bool:
    depth = 0
    for found in _OPENED.finditer(body):
        opens, closes = found.groups()
        depth += 1 if opens else -1 if closes else 0
        if depth > DEEPEST:
            return True
    return False


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > LONGEST_INTEGER:
        raise UnreadableJson(f"a whole number of more than {LONGEST_INTEGER} digits")
    return int(text)


def _no_fraction(_: str) -> NoReturn:
    raise UnreadableJson("a number with a fraction or an exponent")


def _short(text: str) -> str:
    if len(text) > LONGEST_FRACTION:
        raise UnreadableJson(f"a number of more than {LONGEST_FRACTION} characters")
    return text


def _exact(text: str) -> Decimal:
    number = Decimal(_short(text))
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or max(abs(exponent), abs(number.adjusted())) > LARGEST_EXPONENT:
        raise UnreadableJson("a number too large or too fine")
    return number
