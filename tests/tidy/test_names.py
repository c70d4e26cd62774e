"""A public name has one meaning: it is defined in one module of the service."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EVERYWHERE = {"blueprint"}
"""What Flask calls the views of a module. Names of one letter stand for a table's columns, or for any type."""
TO_BE_ENDED = {"EXPIRED", "OPEN", "RELEASED"}
"""States of holds, recalls and differences, and marks in an account's chain: still to become enumerations."""
DOORS = ("web", "cli")
"""A view, and a command, may be called like the use case that they serve: a reader of the one looks for the other."""


def _public_names(module: ast.Module) -> Iterator[str]:
    """Functions, classes and values that the module defines."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:  # `A, B = 1, 2` defines two
            yield from (
                one.id for one in ast.walk(target) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
            )


def names_in_two_modules(folder: Path) -> dict[str, list[str]]:
    """Each public name that has two meanings, with its modules. The modules behind a door count as one of their own."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in folder.rglob("*.py"):
        for name in _public_names(ast.parse(path.read_text(encoding="utf-8"))):
            if not name.startswith("_"):
                found[name].add(path.relative_to(folder).as_posix())
    twice = {}
    for name, modules in found.items():
        behind = [{module for module in modules if module.startswith(f"{door}/")} for door in DOORS]
        inside = modules.difference(*behind)
        if len(name) > 1 and name not in EVERYWHERE and max(len(inside), *map(len, behind)) > 1:
            twice[name] = sorted(modules)
    return twice


def test_no_public_name_is_defined_in_two_modules() -> None:
    assert names_in_two_modules(ROOT / "app").keys() == TO_BE_ENDED


def test_a_name_with_two_meanings_is_found(tmp_path: Path) -> None:
    for module, text in {
        "services/refunds.py": "def end() -> None: ...\nDUE = 1\n_own = 2",
        "services/gifts.py": "class end: ...\n_own = 3\nDUE, LATE = 1, 2",
        "services/orders.py": "def create() -> None: ...",
        "web/orders.py": "def create() -> None: ...\nblueprint = 1",
        "web/gifts.py": "def show() -> None: ...\nblueprint = 1",
        "web/refunds.py": "show: int = 1",
    }.items():
        path = tmp_path / module
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert names_in_two_modules(tmp_path) == {
        "DUE": ["services/gifts.py", "services/refunds.py"],
        "end": ["services/gifts.py", "services/refunds.py"],
        "show": ["web/gifts.py", "web/refunds.py"],
    }
