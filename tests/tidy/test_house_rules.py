"""The house stays as built: neutral words, layers, small files, plugins by entry point, codes in the documents."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from app.services.base.errors import Problem
from app.web import problems as web_problems

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
    """Every code that a caller can see: those of the problem classes, and those of the framework's own errors."""
    import app.web.application

    assert app.web.application.build_application is not None, "loads the web, and with it every problem there is"
    found = {kind.code for kind in _descendants(Problem)} - {"problem"}
    literal = set(re.findall(r'problem\(\d+, "([a-z_]+)"', Path(web_problems.__file__).read_text(encoding="utf-8")))
    return found | literal | set(web_problems._HTTP_CODES.values())


def _descendants(kind: type[Problem]) -> set[type[Problem]]:
    return {kind, *(further for child in kind.__subclasses__() for further in _descendants(child))}


def test_codes_are_stable_words_and_each_stands_for_one_status() -> None:
    statuses: dict[str, set[int]] = {}
    for kind in _descendants(Problem):
        if kind.code == Problem.code:  # the base, and those whose code is the reason of the refusal at hand
            continue
        assert re.fullmatch(r"[a-z][a-z_]+", kind.code)
        statuses.setdefault(kind.code, set()).add(kind.status)
    assert {code: status for code, status in statuses.items() if len(status) > 1} == {}
    assert len(codes()) > 15
