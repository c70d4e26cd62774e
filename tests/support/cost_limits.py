"""The limits of what flows may cost, as a table in a file, and what passes them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path

from tests.support.counting import Cost

TABLE = Path(__file__).parents[1] / "guards" / "cost_limits.toml"
DATABASES = ("postgresql", "sqlite")


def limits(database: str) -> dict[str, Cost]:
    """By the name of the flow."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))[database]
    return {name: Cost(**row) for name, row in rows.items()}


def passed(costs: Mapping[str, Cost], allowed: Mapping[str, Cost]) -> Iterator[str]:
    """A line for each count that is above its limit, and for each flow without limits or without a cost."""
    for name in sorted(costs.keys() ^ allowed.keys()):
        yield f"{name}: not both measured and limited"
    for name in (name for name in costs if name in allowed):
        for item in fields(Cost):
            cost, limit = getattr(costs[name], item.name), getattr(allowed[name], item.name)
            if cost > limit:
                yield f"{name}: {cost} {item.name}, at most {limit} are allowed"


def as_rows(costs: Mapping[str, Cost]) -> Iterator[str]:
    """The costs as rows of the table, to be put in when they became lower."""
    for name, cost in costs.items():
        counts = ", ".join(f"{key} = {count}" for key, count in asdict(cost).items())
        yield f'"{name}" = {{ {counts} }}'
