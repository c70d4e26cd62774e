"""A real Tillbook for clients: gunicorn, a worker and the sandbox's provider, over HTTP on this machine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from werkzeug.serving import WSGIRequestHandler, make_server

from plugins.sandbox.simulator import SimulatorConfig, create_simulator
from tests.demo import house
from tests.support.commands import run_command

CATALOGUE = house.HERE / "catalogue.toml"
SECRET = "a shared secret of the clients' tests, long enough"
SPEED = 60.0
"""Notifications are repeated after seconds, not minutes."""


@dataclass(frozen=True)
class Service:
    """A running Tillbook, and who may call it."""

    url: str
    backend_key: str
    user_token: str
    """Of the user alice."""

    @property
    def environ(self) -> dict[str, str]:
        """What the clients' programs are told."""
        return {"SERVICE_URL": self.url, "BACKEND_KEY": self.backend_key, "USER_TOKEN": self.user_token}


class _Mute(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def running_service(folder: Path) -> Iterator[Service]:
    """Inside, the service is up; its files and logs are in the folder."""
    ours, theirs = house.free_ports(2)
    config = SimulatorConfig({"m-1": SECRET}, f"http://127.0.0.1:{theirs}", speed=SPEED)
    simulator = create_simulator(config, {"TILLBOOK_ENV": "test"})
    server = make_server("127.0.0.1", theirs, simulator, threaded=True, request_handler=_Mute)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    account = {"plugin": "sandbox", "live": False, "base_url": config.base_url, "merchant": "m-1", "secret": SECRET}
    running = house.prepare(folder, ours, {"sandbox": account})
    for command in (("migrate",), ("products", "import", str(CATALOGUE))):
        done = run_command(*command, environ=running.environ)
        assert done.code == 0, done.err
    thread.start()
    delivering = simulator.extensions["sandbox"].deliveries.start()
    try:
        house.serve(running)
        expires = datetime.now(UTC) + timedelta(hours=1)
        token = jwt.encode({"sub": "alice", "exp": expires}, running.jwt_secret, algorithm="HS256")
        yield Service(running.url, running.backend_key, token)
    finally:
        running.stop()
        delivering.set()
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    import sys
    import time

    with running_service(Path(sys.argv[1])) as service:
        for name, value in service.environ.items():
            print(f"export {name}={value}", flush=True)  # noqa: T201 - for a shell
        time.sleep(3600)
