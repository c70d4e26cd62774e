"""Reading WeChat Pay's documents without trusting their shape: everything odd is `Unreadable`, nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from app.domain.money import Money, MoneyError
from app.providers.strict_json import read_json_object

BEIJING = timezone(timedelta(hours=8))
CNY = "CNY"
_DIGITS = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_V2_TIME = re.compile(r"[0-9]{14}", re.ASCII)
_EPOCH = re.compile(r"[0-9]{9,10}", re.ASCII)
_NUL_OR_HALF = re.compile(rb"\\u(?:0000|005[cC]|[dD][89a-fA-F])")
"""How JSON spells what might be a NUL, a backslash before one, or half a character; each has no other spelling."""
MAX_TEXT = 255


class Unreadable(ValueError):
    """The document does not have the shape that the provider promises. The text names a field, never its value."""


def parse_json(body: bytes) -> dict[str, Any]:
    """A JSON object that can be read in one way only and be kept anywhere; fractions stay text. Raises Unreadable."""
    try:
        document = read_json_object(body, fraction_texts=True)
        if _NUL_OR_HALF.search(body) and "\\u0000" in json.dumps(document, ensure_ascii=False).encode().decode():
            raise Unreadable("a text with a NUL")
    except ValueError as error:
        raise error if isinstance(error, Unreadable) else Unreadable("not JSON that can be kept") from None
    return document


def text(document: Mapping[str, Any], name: str, limit: int = MAX_TEXT) -> str:
    """A member that must be there as a printable text and not blank."""
    value = document.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > limit or not value.isprintable():
        raise Unreadable(f"{name} is not a text")
    return value


def optional_text(document: Mapping[str, Any], name: str) -> str:
    """A member that may be missing, null or empty: then `""`."""
    if document.get(name) in (None, ""):
        return ""
    return text(document, name)


def lenient_text(document: Mapping[str, Any], name: str) -> str | None:
    """A member that others fill as they like, such as `attach`: None where it is not a proper text."""
    try:
        return text(document, name)
    except Unreadable:
        return None


def inner(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is not an object")
    return value


def fen(document: Mapping[str, Any], name: str, currency: str) -> Money:
    """v3 amounts: a JSON integer of whole fen. Zero is not an amount."""
    return _money(document.get(name), name, currency)


def fen_text(document: Mapping[str, Any], name: str, currency: str) -> Money:
    """v2 amounts: whole fen in decimal digits."""
    value = text(document, name)
    return _money(int(value) if _DIGITS.fullmatch(value) else None, name, currency)


def _money(value: object, name: str, currency: str) -> Money:
    if type(value) is not int or value <= 0:
        raise Unreadable(f"{name} is not an amount in fen")
    try:
        return Money(value, currency)
    except MoneyError:
        raise Unreadable(f"{name} is not an amount of a currency") from None


def rfc3339(value: str, name: str) -> datetime:
    """v3 times, which carry their offset."""
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Unreadable(f"{name} is not a time with an offset")


def beijing(value: str, name: str) -> datetime:
    """v2 times: `yyyyMMddHHmmss`, or `yyyy-MM-dd HH:mm:ss` in refunds, without an offset, Beijing time."""
    plain = value.replace("-", "").replace(":", "").replace(" ", "")
    if _V2_TIME.fullmatch(plain):
        try:
            return datetime.fromisoformat(f"{plain[:8]}T{plain[8:]}").replace(tzinfo=BEIJING).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise Unreadable(f"{name} is not a time")


def contract_time(value: str, name: str) -> datetime:
    """Times of v2's contracts: `2015-07-01 10:00:00` in notifications, without the blank in documents, and seconds
    since 1970 in the sample of an answer (gochat, 2022)."""
    if _EPOCH.fullmatch(value):
        return datetime.fromtimestamp(int(value), UTC)
    return beijing(value, name)
