"""The lines of tables that an earlier system hands over: what every import asks of a cell."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

Cells = Mapping[str, str]
"""The cells of one line by the name of their column; a column that is not there is empty."""


class BadLine(ValueError):
    """The line cannot be taken. The text says which cell and why."""


def moment_in(cells: Cells, name: str) -> datetime | None:
    """The ISO 8601 time of that cell, in UTC; None for an empty one. Raises BadLine, also where it has no zone: a time
    of somewhere is not known by its digits."""
    text = cells.get(name, "")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadLine(f"{name}: not an ISO 8601 time: {text[:40]!r}") from None
    if moment.tzinfo is None:
        raise BadLine(f"{name}: without a time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise BadLine(f"{name}: not an ISO 8601 time: {text[:40]!r}") from None


def text_in(cells: Cells, name: str, longest: int) -> str:
    """The text of that cell, which may be empty. Raises BadLine for one that is too long, or that nobody can read."""
    text = cells.get(name, "")
    if len(text) > longest or text != text.strip() or not text.isprintable():
        raise BadLine(f"{name}: more than {longest} characters, blanks around, or not printable")
    return text


def needed_in(cells: Cells, name: str, longest: int) -> str:
    """The text of that cell. Raises BadLine for an empty one, too."""
    text = text_in(cells, name, longest)
    if not text:
        raise BadLine(f"{name}: empty")
    return text


def token_in(cells: Cells, name: str) -> uuid.UUID:
    """The UUID of that cell. Raises BadLine."""
    try:
        return uuid.UUID(cells.get(name, ""))
    except ValueError:
        raise BadLine(f"{name}: not a UUID: {cells.get(name, '')[:40]!r}") from None
