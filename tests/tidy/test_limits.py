"""`docs/limits.md` is true: each constant that it names has that value, and no limit of the code is missing in it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import annotated_types
import pytest
from pydantic import BaseModel

from app.config import Serving, Settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([A-Z][A-Z0-9_]*) = ([0-9_.]+)`", PAGE)
LIMIT = re.compile(r"(MOST|LONGEST|LARGEST|SHORTEST|MAX|MIN)(_[A-Z0-9_]+)?$")
NOBODY_MEETS = {
    "LONGEST_PROBLEM",  # how much of an error's text is kept in a row
    "MOST_ROWS",  # of one statement; more rows take more statements
    "LONGEST_PAGE",  # the ledger's own; the API asks for less
    "MAX_URL",
    "MAX_TEXT",
    "MAX_SIGNATURE",
    "MAX_CIPHERTEXT",  # parts of a provider's message, whose whole is limited
}
"""Limits that bound what nobody outside can choose on its own."""


def _statements(module: ast.Module) -> Iterator[ast.stmt]:
    """Those of the module and of its classes."""
    for node in module.body:
        yield node
        if isinstance(node, ast.ClassDef):
            yield from node.body


def _constants() -> dict[str, list[float]]:
    """All numbers and durations (in seconds) that ours name, by name; simulators left out."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for path in sorted((ROOT / "app").rglob("*.py")) + sorted((ROOT / "plugins").rglob("*.py")):
        if "simulat" in str(path) or "testing" in path.parts:
            continue
        known: dict[str, Any] = {"timedelta": timedelta, "__builtins__": {}}
        for node in _statements(ast.parse(path.read_text(encoding="utf-8"))):
            value = getattr(node, "value", None)
            target = getattr(node, "target", None) or next(iter(getattr(node, "targets", [])), None)
            if not isinstance(target, ast.Name) or value is None or not target.id.isupper():
                continue
            try:
                known[target.id] = eval(ast.unparse(value), known)
            except Exception:  # not a plain value: no limit
                continue
            if isinstance(known[target.id], timedelta):
                found[target.id].append(known[target.id].total_seconds())
            elif type(known[target.id]) in (int, float):
                found[target.id].append(known[target.id])
    return found


CONSTANTS = _constants()


def test_the_page_names_constants() -> None:
    assert len(NAMED) > 60


@pytest.mark.parametrize(("name", "value"), NAMED)
def test_a_constant_has_the_value_on_the_page(name: str, value: str) -> None:
    assert ast.literal_eval(value) in CONSTANTS[name], f"{name} is {CONSTANTS[name]} in the code"


def test_every_limit_of_the_code_is_on_the_page() -> None:
    told = {(name, ast.literal_eval(value)) for name, value in NAMED}
    missing = {
        f"{name} = {value}"
        for name, values in CONSTANTS.items()
        if LIMIT.match(name) and name not in NOBODY_MEETS
        for value in values
        if (name, value) not in told
    }
    assert missing == set(), "write a line into docs/limits.md: what, limit, answer, constant"


def _bounded(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any, Any, Any]]:
    """Each setting with a least and a most value, and what it is if not set; those of dictionaries left out."""
    for name, field in model.model_fields.items():
        least = [one.ge for one in field.metadata if isinstance(one, annotated_types.Ge)]
        most = [one.le for one in field.metadata if isinstance(one, annotated_types.Le)]
        if least and most:
            yield f"{prefix}{name}", least[0], most[0], "cores" if name == "web_workers" else field.default
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _bounded(field.annotation, f"{prefix}{name}.")


def test_the_table_of_settings_is_true() -> None:
    rows = dict(re.findall(r"^\| `([a-z_.]+)`[^|]*((?:\|[^|\n]*){3})\|$", PAGE, re.MULTILINE))
    found = [*_bounded(Settings), *_bounded(Serving)]
    assert len(found) > 15
    for name, least, most, default in found:
        cells = [cell.strip() for cell in rows[name].split("|")[1:]]
        assert cells[0].startswith(str(least)), name
        assert cells[1] == ("2^63 - 1" if most == 2**63 - 1 else str(most)), name
        assert cells[2] == str(default), name
