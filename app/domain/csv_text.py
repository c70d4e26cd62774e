"""Tables as CSV (RFC 4180): what programs read back as it was, and what a spreadsheet does not run.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and texts come from users. So a text
that begins like that gets an apostrophe before it. A text that begins with an apostrophe gets one more: whoever takes
one apostrophe off the beginning of each text has the text as it was. Numbers stay numbers: -30 is written as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

LINE_END = "\r\n"
_RISKY = re.compile(r"\s*['=+\-@＝＋－＠]|[\t\r\n]")
"""How a text begins that some spreadsheet runs. Blanks before the sign help nobody: some programs cut them off; and the
wide forms of the signs count in some languages (owasp.org, CSV Injection, 2026-11)."""
_QUOTED = re.compile(r"[\",;\t\r\n]|^\s|\s$")
"""Texts that need quotation marks. The semicolon and the tab separate cells in some countries' spreadsheets."""


def csv_line(values: Iterable[object], end: str = LINE_END) -> str:
    """One line of the table with its end."""
    return ",".join([_cell(value) for value in values]) + end


def _cell(value: object) -> str:
    """Nothing for None, ISO 8601 in UTC for a moment, JSON with sorted names for a list or an object."""
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return _text(str(value))


def _text(text: str) -> str:
    if _RISKY.match(text):
        text = f"'{text}"
    if _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text
