"""Schemathesis, with all its checks and phases, finds nothing in a running service. `docs/api.md` has the command for a
longer run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.service import Service

SECONDS = 400
CONFIG = """
[parameters]
"query.wait" = 0
"""
"""A bounded run does not wait for events that nobody makes."""
RUNS = {
    "backend": ("--max-examples=6",),
    "user": ("--max-examples=6", "--phases=examples,fuzzing"),  # what most differs with the caller; half a run
}
"""How much, for each operation and phase."""


@pytest.mark.timeout(SECONDS + 200)
@pytest.mark.parametrize("caller", sorted(RUNS))
def test_schemathesis_finds_nothing(service: Service, tmp_path: Path, caller: str) -> None:
    credentials = {"backend": service.backend_key, "user": service.user_token}[caller]
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG, encoding="utf-8")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "--config-file",
            config,
            "run",
            f"{service.url}/openapi.json",
            f"--header=Authorization: Bearer {credentials}",
            *RUNS[caller],
            "--seed=1",
            "--request-timeout=60",  # a busy machine takes its time
            "--generation-database=none",
            "--no-color",
        ],
        cwd=tmp_path,  # it writes what it remembers beside itself
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None
    assert int(tested[1]) > 25
