"""The house stays as built: neutral words, layers, small files, plugins by entry point, codes in the documents."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.domain.ledger import LedgerError
from app.services.base.errors import DomainError
from app.web.errors import ERRORS, LEDGER_CODES

ROOT = Path(__file__).resolve().parents[2]
PROVIDER_WORDS = re.compile(r"alipay|wechat|weixin|apple|app_store|appstore|storekit", re.IGNORECASE)
LONGEST_FILE = 400
LONGER: dict[str, int] = {"tests/plugins/alipay/test_simulator.py": 402}
"""Files that are longer, with the length that they must not pass. This list only gets shorter."""


def ours(*folders: str) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".html"} and "__pycache__" not in path.parts and "vendor" not in path.parts
    )


def test_nothing_under_app_names_a_provider() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in ours("app")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if PROVIDER_WORDS.search(line)
    ]
    assert found == []
    assert len(ours("app")) > 50


def test_the_import_contracts_hold() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(tool), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_nothing_is_logged_or_counted_before_it_is_committed() -> None:
    """A transaction may be undone and repeated: what it did is said by `once_committed`. What is only read is said."""
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno} in {function.name}"
        for path in ours("app/services")
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef) and "tx" in [given.arg for given in function.args.args]
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and re.match(r"_log\.|metrics\..*\.(inc|observe|set)$", ast.unparse(call.func))
    ]
    assert [place.partition(":")[0] for place in found] == ["app/services/accounts/caller_copy.py"], found


def test_every_plugin_folder_is_an_entry_point_and_every_entry_point_a_folder() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = project["entry-points"]["tillbook.providers"]
    folders = {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")}
    assert named == {name: f"plugins.{name}:plugin" for name in folders}


def test_files_stay_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in ours("app", "plugins", "tests", "migrations", "bench")
        if "versions" not in path.parts
    }
    too_long = {name: length for name, length in lengths.items() if length > LONGER.get(name, LONGEST_FILE)}
    assert too_long == {}
    settled = [name for name in LONGER if lengths.get(name, 0) <= LONGEST_FILE]
    assert settled == [], "short now: take them off the list"


def test_every_code_of_a_problem_is_explained_in_the_documentation() -> None:
    document = ROOT / "docs" / "api.md"
    if not document.exists():
        pytest.skip("there is no docs/api.md yet")
    text = document.read_text(encoding="utf-8")
    assert sorted(code for code in codes() if f"`{code}`" not in text) == []


def codes() -> set[str]:
    """Every code that a caller can see: errors of use cases, refusals and errors of the ledger, and the web's own."""
    import app.web.application

    assert app.web.application.build_application is not None, "loads the web, and with it every error there is"
    errors = {kind.code for kind in _descendants(DomainError)} - {DomainError.code}
    ledger = {kind.code for kind in _descendants(LedgerError)} - {LedgerError.code}
    refusals = {
        code
        for path in ours("app")
        for code in re.findall(r'\bRefused\([a-z_.]+, "([a-z_]+)"', path.read_text(encoding="utf-8"))
    }
    assert len(refusals) > 5
    return errors | refusals | {LEDGER_CODES.get(code, code) for code in ledger} | set(ERRORS)


def _descendants(kind: type[Exception]) -> set[Any]:
    return {kind, *(further for child in kind.__subclasses__() for further in _descendants(child))}


def test_each_code_has_one_status_and_one_title_in_one_table() -> None:
    assert sorted(codes() - set(ERRORS)) == []
    assert all(re.fullmatch(r"[a-z][a-z_]+", code) for code in ERRORS)
    assert all(400 <= status < 600 and title.endswith(".") for status, title in ERRORS.values())


def test_only_one_module_of_the_web_knows_http_statuses_of_errors() -> None:
    """A use case raises a code. `status` and `title` of an error are the web's."""
    said = re.compile(r"^    (?:code, status\b|title = )", re.MULTILINE)
    found = [path for path in ours("app/services", "app/domain") if said.search(path.read_text(encoding="utf-8"))]
    assert found == []
