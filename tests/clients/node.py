"""Programs from npm for these tests: installed as the lock file says, once, by whoever needs them first."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.support.raised_codes import ROOT

PACKAGE = ROOT / "clients" / "typescript"
MODULES = PACKAGE / "node_modules"
INSTALL_SECONDS = 300
RUN_SECONDS = 120
REQUIRED = "CLIENT_TOOLS"
"""Where this variable of the environment is `required` (`.ci/run`), a machine without the programs fails the tests."""


class NoNode(RuntimeError):
    """The programs are not there; the text says why."""


def install() -> None:
    """Raises NoNode."""
    npm = shutil.which("npm")
    if npm is None:
        raise NoNode("there is no npm on this machine: install Node 20 or newer")
    lock = PACKAGE / "package-lock.json"
    stamp = MODULES / ".installed"
    with (PACKAGE / "package.json").open() as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
            return
        done = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=PACKAGE,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS,
        )
        if done.returncode:
            raise NoNode(f"npm ci failed: {done.stderr.strip()[-500:]}")
        stamp.write_bytes(lock.read_bytes())


def run(program: str, *arguments: str | Path, cwd: Path = PACKAGE, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the packages, or `node` itself."""
    path = shutil.which("node") if program == "node" else str(MODULES / ".bin" / program)
    assert path is not None
    return subprocess.run(
        [path, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_SECONDS,
    )
