"""The applications under test, each served by gunicorn with the service's own settings, and the CPU that they used."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from tests.demo.house import BIN, ROOT

WORKERS = 2
START_SECONDS = 60.0
SHOWN = 3000
"""Characters of a log that are shown where something went wrong."""


class Served:
    """A gunicorn that runs until `stop`."""

    def __init__(self, name: str, application: str, port: int, environ: Mapping[str, str], log: Path) -> None:
        self.name, self.port = name, port
        address = {"TILLBOOK_BIND": f"127.0.0.1:{port}", "TILLBOOK_WEB_WORKERS": str(WORKERS)}
        with log.open("wb") as lines:
            self._process = subprocess.Popen(
                [BIN / "gunicorn", "-c", "python:app.serving", application],
                cwd=ROOT,
                env={**os.environ, **environ, **address, "PYTHONPATH": str(ROOT)},
                stdout=lines,
                stderr=lines,
            )
        self._log = log

    def wait_until_up(self) -> None:
        """Until it takes connections with all its workers."""
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                if len(self._workers()) == WORKERS:
                    return
            time.sleep(0.1)
        raise SystemExit(f"{self.name} did not start:\n{self.last_lines()}")

    def last_lines(self) -> str:
        """The end of what it logged."""
        return self._log.read_text(errors="replace")[-SHOWN:]

    def cpu_seconds(self) -> float:
        """User and system time of master and workers so far."""
        return sum(map(cpu_seconds, (self._process.pid, *self._workers())))

    def _workers(self) -> list[int]:
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()


def cpu_seconds(pid: int) -> float:
    """Of all threads of a process, to the nanosecond (Linux's `schedstat`; `stat` counts ticks of ten milliseconds)."""
    spent = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread may end meanwhile
            spent += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
    return spent / 1e9
