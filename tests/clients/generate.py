"""`make clients`: writes what is made from the code: codes by view, and the generated parts of both clients."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from app import create_app
from app.config import Settings
from app.web.openapi.codes import CODES
from app.web.openapi.document import build_document
from tests.clients import codes_of_views, node
from tests.support.raised_codes import ROOT

PYTHON_PART = ROOT / "clients" / "python" / "tillbook_client" / "generated"
TYPESCRIPT_PART = node.PACKAGE / "src" / "schema.ts"
COMMAND = "run `make clients` and commit what it writes"


def document() -> dict[str, Any]:
    """The OpenAPI document of a service like any other."""
    app = create_app(Settings(env="test", database_url="sqlite://", public_url=codes_of_views.PUBLIC_URL))
    return build_document(app, codes_of_views.PUBLIC_URL)


def generate_python(source: str | Path, target: Path, *options: str) -> str:
    """Let `openapi-python-client` make a client of the document at the source, a file or an address. Gives what the
    generator said; a warning of it is a fault of the document. The target is no folder of a project: the generator's
    formatter would take that project's rules."""
    program = Path(sys.executable).with_name("openapi-python-client")
    where = "--path" if isinstance(source, Path) else "--url"
    done = subprocess.run(
        [program, "generate", where, source, "--output-path", target, "--overwrite", "--fail-on-warning", *options],
        env={**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"},
        cwd=target.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def generate_typescript(source: str | Path, target: Path) -> None:
    """Let `openapi-typescript` make types of the document, with its own options."""
    done = node.run("openapi-typescript", source, "-o", target)
    assert done.returncode == 0, done.stdout + done.stderr


def main() -> None:
    node.install()
    codes_of_views.FILE.write_text(codes_of_views.written(), encoding="utf-8")
    CODES.clear()
    CODES.update(codes_of_views.codes_of_views())
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "openapi.json"), Path(folder, "generated")
        source.write_text(json.dumps(document()), encoding="utf-8")
        generate_python(source, made, "--meta", "none")
        shutil.rmtree(PYTHON_PART, ignore_errors=True)
        shutil.copytree(made, PYTHON_PART, ignore=shutil.ignore_patterns("__pycache__", ".ruff_cache"))
        generate_typescript(source, TYPESCRIPT_PART)


if __name__ == "__main__":
    main()
