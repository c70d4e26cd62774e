"""A plugin translates; only its simulator serves. import-linter cannot tell the two apart within one package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVING = {"flask", "werkzeug", "sqlalchemy", "flask_sqlalchemy", "socket"}
TRANSLATORS = sorted(
    path
    for path in (ROOT / "plugins").rglob("*.py")
    if not any(part.startswith("simulat") for part in path.relative_to(ROOT).parts)
)


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_there_are_translators_to_look_at() -> None:
    assert len(TRANSLATORS) > 20


@pytest.mark.parametrize("path", TRANSLATORS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_server_and_no_database_outside_a_simulator(path: Path) -> None:
    assert not _imported(path) & SERVING
