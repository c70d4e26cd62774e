"""The document passes Redocly's recommended rules, and what is generated from it is as it has to be."""

from __future__ import annotations

import filecmp
import json
from pathlib import Path

import pytest

from tests.clients import generate, node

QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("npm_programs")
def test_redocly_finds_no_error_and_no_warning(document_file: Path) -> None:
    done = node.run("redocly", "lint", document_file, "--format", "json", cwd=document_file.parent, **QUIET)
    found = json.loads(done.stdout)
    assert [(problem["ruleId"], problem["message"]) for problem in found["problems"]] == []
    assert (done.returncode, found["totals"]["errors"], found["totals"]["warnings"]) == (0, 0, 0)


@pytest.mark.timeout(300)
def test_the_generated_part_of_the_python_client_is_as_the_document_makes_it(
    document_file: Path, tmp_path: Path
) -> None:
    generate.generate_python(document_file, tmp_path / "generated", "--meta", "none")
    assert differing(tmp_path / "generated", generate.PYTHON_PART) == [], generate.COMMAND


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("npm_programs")
def test_the_generated_part_of_the_typescript_client_is_as_the_document_makes_it(
    document_file: Path, tmp_path: Path
) -> None:
    generate.generate_typescript(document_file, tmp_path / "schema.ts")
    assert filecmp.cmp(tmp_path / "schema.ts", generate.TYPESCRIPT_PART, shallow=False), generate.COMMAND


def differing(made: Path, kept: Path) -> list[str]:
    """Files that only one of the folders has, or that differ."""
    files = {
        path.relative_to(folder)
        for folder in (made, kept)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".ruff_cache" not in path.parts
    }
    return sorted(str(file) for file in files if not _alike(made / file, kept / file))


def _alike(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.read_bytes() == other.read_bytes()
