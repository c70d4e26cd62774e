"""Clients that the usual generators make of the document, with their own options, do the whole main job against a
running service: order, pay, wallet, spend, refund."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients import generate, node
from tests.clients.service import Service

MAIN_JOB = {
    "paid": True,
    "bought": 60,
    "spent": 35,
    "repeated": True,
    "refunded": 300,
    "taken": 30,
    "left": 5,
}
SECONDS = 120
STRICT = ("--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck")
"""What is generated is no library: `schema.ts` is checked whole. Node's own types, of no concern here, take three times
as long."""


@pytest.mark.timeout(300)
def test_the_client_of_openapi_python_client_does_the_main_job(service: Service, tmp_path: Path) -> None:
    said = generate.generate_python(f"{service.url}/openapi.json", tmp_path / "made")
    assert "warning" not in said.lower()
    environ = {**os.environ, **service.environ, "PYTHONPATH": str(tmp_path / "made")}
    program = Path(__file__).with_name("main_job.py")
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {**MAIN_JOB, "sku": "club", "refused": "idempotency_key_missing"}


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("npm_programs")
def test_the_types_of_openapi_typescript_compile_strictly_and_do_the_main_job(service: Service, tmp_path: Path) -> None:
    generate.generate_typescript(f"{service.url}/openapi.json", tmp_path / "schema.ts")
    shutil.copy(node.PACKAGE / "test" / "main_job.ts", tmp_path)
    (tmp_path / "node_modules").symlink_to(node.MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    compiled = node.run("tsc", *STRICT, "--types", "node", "--outDir", "built", "main_job.ts", cwd=tmp_path)
    assert compiled.returncode == 0, compiled.stdout
    done = node.run("node", "built/main_job.js", cwd=tmp_path, **service.environ)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {**MAIN_JOB, "refused": "insufficient_funds"}
