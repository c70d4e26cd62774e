"""The TypeScript client: it compiles under strict rules, and its own tests pass (`clients/typescript/test`)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.clients import node


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("npm_programs")
def test_the_typescript_client_compiles_and_its_tests_pass(tmp_path: Path) -> None:
    compiled = node.run("tsc", "-p", "tsconfig.test.json", "--outDir", str(tmp_path / "build"))
    assert compiled.returncode == 0, compiled.stdout
    (tmp_path / "node_modules").symlink_to(node.MODULES)
    (tmp_path / "package.json").write_text(json.dumps({"type": "module"}), encoding="utf-8")
    done = node.run("node", "--test", "--test-reporter=tap", "build/test/client.test.js", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    [passed] = re.findall(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    written = (node.PACKAGE / "test" / "client.test.ts").read_text(encoding="utf-8")
    assert int(passed) == len(re.findall(r"^test\(", written, re.MULTILINE))
