"""A PostgreSQL server that one test, or one run of chaos, starts and kills."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support import databases


@contextlib.contextmanager
def own_server() -> Iterator[Server]:
    """A server that is gone afterwards, unless it was killed before."""
    with tempfile.TemporaryDirectory(prefix="tb-", dir="/tmp") as folder:
        running = Server(Path(folder))
        try:
            yield running
        finally:
            with contextlib.suppress(AssertionError):
                running.kill()


class Server:
    """A PostgreSQL of its own, with durable commits, on a socket in its own folder."""

    def __init__(self, folder: Path) -> None:
        self._bin = Path(databases.server_package().__file__).parent / "pginstall" / "bin"
        self._data = folder / "data"
        self._folder = folder
        self._user = "postgres" if os.geteuid() else self._unprivileged()
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._folder}"

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=on -c synchronous_commit=on -c max_connections=40"
        options += " -c recovery_init_sync_method=syncfs"  # one flush after a crash, in place of one for each file
        self._control("start", "-o", options, "-l", str(self._folder / "log"))

    def kill(self) -> None:
        """As if the machine lost its power: no checkpoint, no goodbye."""
        self._control("stop", "-m", "immediate")

    def _control(self, action: str, *arguments: str) -> None:
        self._run("pg_ctl", action, "-D", str(self._data), "-w", "-t", "60", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        account = {"user": self._user, "group": self._user, "extra_groups": []} if not os.geteuid() else {}
        done = subprocess.run(  # type: ignore[call-overload]
            [str(self._bin / program), *arguments],
            check=False,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,  # a pipe would be inherited by the server and never end
            stderr=subprocess.DEVNULL,
            **account,
        )
        assert done.returncode == 0, f"{program} {arguments[0]}: {done.returncode}"

    def _unprivileged(self) -> str:
        """PostgreSQL refuses to run as root: the account that the package made for its own server."""
        databases.server_url()
        name = "pgserver"
        os.chown(self._folder, *_ids(name))
        return name


def _ids(name: str) -> tuple[int, int]:
    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid
