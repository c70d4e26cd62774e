"""Reads single fields of Alipay's forms and answers, whose content was verified before. Pure.

Raises ValueError for a field that lacks what a fact needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.domain.money import Money, parse_decimal
from plugins.alipay.formats import CURRENCY, parse_time

_PRIVATE = frozenset(
    {"sign", "login_token", "buyer_logon_id", "alipay_logon_id", "external_logon_id", "zm_open_id", "send_pay_card_no"}
)
"""Not kept for audit: signatures, tokens and what names a person."""
_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def printable(text: str) -> str:
    """At most 64 characters that can be stored and shown."""
    shown = text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown[:64]


def number(fields: Mapping[str, Any], name: str) -> str:
    """A trade, request or agreement number. Raises ValueError when it is absent or not one."""
    value = fields.get(name)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return value
    raise ValueError(f"{name} is missing or not a number of Alipay's form")


def optional_number(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def audit(fields: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(fields)
    for name in _PRIVATE:
        kept.pop(name, None)
    return kept


def amount(fields: Mapping[str, Any], name: str) -> Money:
    """A positive amount. Raises ValueError when it is absent, zero or not exact fen."""
    money = parse_decimal(fields.get(name, ""), CURRENCY)
    if money.minor == 0:
        raise ValueError(f"{name} is zero")
    return money


def first_of(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of these fields that is there. Raises ValueError when none is."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value:
            return value
    raise ValueError(f"none of {', '.join(names)} is there")


def word(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    return value if isinstance(value, str) else ""


def time_or(content: Mapping[str, Any], name: str, default: datetime) -> datetime:
    text = word(content, name)
    return parse_time(text) if text else default
