"""The trial balance for people: as a table for the terminal, and as JSON, whose numbers are text too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.domain.trial_balance import Line, TrialBalance, TrialSheet

Summed = Line | TrialSheet


def as_table(found: TrialBalance) -> Iterator[str]:
    """Line by line. What is wrong is said at the end of its line."""
    yield f"trial balance at {found.at.isoformat()}"
    for sheet in found.sheets:
        rows = [
            ("account", "debits", "credits", "balance", ""),
            *((_name(line), *_numbers(line), _trouble(line)) for line in sheet.lines),
            ("total", *_numbers(sheet), "" if sheet.balanced else "  NOT BALANCED"),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        yield ""
        yield f"{sheet.asset} {sheet.environment}"
        for name, *numbers, trouble in rows:
            right = "  ".join(number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True))
            yield f"  {name.ljust(widths[0])}  {right}{trouble}"


def as_json(sheet: TrialSheet) -> dict[str, Any]:
    """Sums can pass 2^63, so they travel as decimal text."""
    return {
        "asset": sheet.asset,
        "environment": sheet.environment,
        "balanced": sheet.balanced,
        **_named(sheet),
        "lines": [
            {"account": line.code, "owner": "users" if line.of_users else "house", **_named(line)}
            for line in sheet.lines
        ],
    }


def _named(one: Summed) -> dict[str, str]:
    return dict(zip(("debits", "credits", "balance"), _numbers(one), strict=True))


def _numbers(one: Summed) -> tuple[str, str, str]:
    return str(one.debits), str(one.credits), str(one.balance)


def _name(line: Line) -> str:
    return f"users: {line.code}" if line.of_users else line.code


def _trouble(line: Line) -> str:
    return f"  differs from its legs by {line.difference}" if line.difference else ""
