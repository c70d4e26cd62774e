"""A docstring is read alone, in an editor's window: so it names its subject, and points at no neighbour."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("app", "plugins", "bench", "tests", "migrations")
POINTS_AWAY = re.compile(
    r"(the same|both|likewise|ditto|also|and|like (the (above|one|previous|other)|above)|as (above|before|below)"
    r"|see (above|below)|the (latter|above|previous one|next one|other one))\b",
    re.IGNORECASE,
)
"""Beginnings that say something about another docstring."""


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each docstring: of modules, classes and functions, and below names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value.strip()


def pointing_away(source: str) -> list[tuple[int, str]]:
    return [(line, text[:60]) for line, text in docstrings(source) if POINTS_AWAY.match(text)]


def test_no_docstring_begins_with_its_neighbour() -> None:
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    found = [
        f"{file.relative_to(ROOT)}:{line}: {text}"
        for file in files
        for line, text in pointing_away(file.read_text(encoding="utf-8"))
    ]
    assert found == []
    assert len(files) > 400


@pytest.mark.parametrize(
    "source",
    [
        '"""The same for modules."""',
        'class A:\n    """Both of them."""',
        'def f():\n    """Likewise."""',
        'async def f():\n    """\n    See above.\n    """',
        'LIMIT = 1\n"""Like the one before."""',
        'class A:\n    limit: int\n    """Also a limit."""',
    ],
)
def test_a_docstring_that_points_away_is_found_wherever_it_stands(source: str) -> None:
    assert len(pointing_away(source)) == 1


@pytest.mark.parametrize("text", ["The sameness of keys.", "Bothers nobody.", "Android devices.", "The next number."])
def test_a_docstring_that_names_its_subject_passes(text: str) -> None:
    assert pointing_away(f'"""{text}"""') == []
