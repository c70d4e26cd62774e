"""A line between the service and PostgreSQL that can be cut after so many bytes, or lets bytes through in pieces."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator

from sqlalchemy.engine import make_url

UP, DOWN = "up", "down"
"""To the server, and back."""


class Line:
    """Carries connections to a server's socket. It counts the bytes of each direction, all connections together."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.carried = {UP: 0, DOWN: 0}
        self.piece = 65536
        """Bytes that are let through at once."""
        self.cuts = 0
        self._cut: tuple[str, int] | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, direction: str, count: int) -> None:
        """Let so many bytes more pass in that direction, then end the connection that they are on."""
        self._cut = (direction, self.carried[direction] + count)

    def mend(self) -> None:
        self._cut = None

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, server, selectors.DefaultSelector() as waiting, contextlib.suppress(OSError):
            waiting.register(client, selectors.EVENT_READ, (UP, server))
            waiting.register(server, selectors.EVENT_READ, (DOWN, client))
            while True:
                for key, _ in waiting.select():
                    direction, target = key.data
                    data = key.fileobj.recv(min(self.piece, 65536))  # type: ignore[union-attr]
                    if not data or not self._pass(direction, data, target):
                        return

    def _pass(self, direction: str, data: bytes, target: socket.socket) -> bool:
        """Send it on; False where the line is cut."""
        cut = self._cut
        if cut is not None and cut[0] == direction and self.carried[direction] + len(data) >= cut[1]:
            target.sendall(data[: max(0, cut[1] - self.carried[direction])])
            self._cut = None
            self.cuts += 1
            return False
        self.carried[direction] += len(data)
        target.sendall(data)
        return True


@contextlib.contextmanager
def line_to(url: str) -> Iterator[tuple[Line, str]]:
    """A line to the server of this URL, and the URL of the database over that line."""
    parsed = make_url(url)
    folder, port = str(parsed.query["host"]), parsed.query.get("port", "5432")
    line = Line(f"{folder}/.s.PGSQL.{port}")
    try:
        plain = parsed.set(query={"sslmode": "disable"}, host="127.0.0.1", port=line.port)
        yield line, plain.render_as_string(hide_password=False)
    finally:
        line.close()
