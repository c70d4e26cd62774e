"""The real service for the demonstration: a configuration file, migrations, gunicorn and a worker, on SQLite."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from app.config import SCOPES as ALL_SCOPES
from app.services.base.moved_clock import MovedClock
from tests.demo.patience import wait_for

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BIN = Path(sys.executable).parent
SCOPES = sorted(ALL_SCOPES)
STOP_SECONDS = 15
"""Then what has not ended is killed, with all that it started."""


@dataclass
class Running:
    """A Tillbook that runs, and what is needed to talk to it."""

    folder: Path
    url: str
    jwt_secret: str
    backend_key: str
    environ: dict[str, str]
    clock: MovedClock
    """Of all its processes, and of the simulators."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def tillbook(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the `tillbook` command."""
        return subprocess.run(
            [BIN / "tillbook", *arguments], cwd=ROOT, env=self.environ, capture_output=True, text=True, check=False
        )

    def start(self, name: str, *command: str, **environ: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [BIN / command[0], *command[1:]],
                    cwd=ROOT,
                    env={**self.environ, **environ},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # a group that can be ended as a whole; Ctrl-C comes to us alone
                )
            )

    def receive(self, port: int, secret: str) -> subprocess.Popen[bytes]:
        """Start the game's own backend, which takes in events (`examples/receiving_backend`)."""
        self.start(
            "receiver",
            "python",
            "-m",
            "examples.receiving_backend.receiver",
            str(port),
            self.books_of_receiver,
            WEBHOOK_SECRET=secret,
        )
        return self.processes[-1]

    @property
    def books_of_receiver(self) -> str:
        return str(self.folder / "receiver.sqlite3")

    def stop(self) -> None:
        """End all processes and wait for that."""
        for process in self.processes:
            process.terminate()
        ends = time.monotonic() + STOP_SECONDS
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.1, ends - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):  # nothing of the group is left: the usual case
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def ended(self) -> bool:
        """Whether one of them has ended by itself: nothing will come of waiting."""
        return any(process.poll() is not None for process in self.processes)


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def empty(folder: Path) -> MovedClock:
    """Empty the folder; the clock of the installation that will be in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return MovedClock(folder / "clock")


def prepare(
    folder: Path,
    port: int,
    accounts: dict[str, dict[str, Any]],
    *,
    moves_clock: bool = False,
    databases: Sequence[dict[str, str]] = (),
) -> Running:
    """Write the configuration of a fresh installation into a folder that is empty, or not there yet. `moves_clock`: the
    `clock` of the installation moves the service, too. `databases`: what `[[databases]]` says; one SQLite file if not
    given."""
    folder.mkdir(parents=True, exist_ok=True)
    clock = MovedClock(folder / "clock")
    url = f"http://127.0.0.1:{port}"
    secret, key = secrets.token_urlsafe(32), "tbk_" + secrets.token_urlsafe(32)
    tables: dict[str, dict[str, Any]] = {
        "": {
            "env": "demo",
            **({} if databases else {"database_url": f"sqlite:///{folder / 'tillbook.sqlite3'}"}),
            "database_durable": False,
            "public_url": url,
            **({"clock_offset_file": str(clock.file)} if moves_clock else {}),
        },
        "user_jwt": {"secret": secret},
        "gifts": {"enabled": True},
        "agreements": {"charge_hour": 0},
        "events": {"allow_private_endpoints": True},
        "api_keys.backend": {"sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": SCOPES},
        **{f"provider_accounts.{name}": table for name, table in accounts.items()},
    }
    config = folder / "tillbook.toml"
    config.touch(mode=0o600)
    config.write_text("\n".join(map(_table, tables.items())), encoding="utf-8")
    ours = {name: value for name, value in os.environ.items() if not name.upper().startswith("TILLBOOK_")}
    environ = {
        **ours,
        "TILLBOOK_CONFIG": str(config),
        "TILLBOOK_ENV": "demo",
        "TILLBOOK_BIND": f"127.0.0.1:{port}",
        "TILLBOOK_WEB_WORKERS": "2",
        **({"TILLBOOK_DATABASES": json.dumps(list(databases))} if databases else {}),
    }
    return Running(folder, url, secret, key, environ, clock)


def _table(item: tuple[str, dict[str, Any]]) -> str:
    """A TOML table. JSON's spelling of texts, numbers, truths and lists is TOML's too."""
    name, values = item
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join([f"[{name}]" if name else "", *lines, ""])


def serve(running: Running) -> None:
    """Start the web service and a worker, and wait until the service is ready."""
    running.start("web", "gunicorn", "-c", "python:app.serving", "wsgi:application")
    running.start("worker", "tillbook", "worker")

    def ready() -> bool:
        if running.ended():
            raise SystemExit(f"the service did not start; see {running.folder}/web.log")
        try:
            return requests.get(f"{running.url}/health/ready", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    wait_for(f"the service to start (its log: {running.folder}/web.log)", ready)
