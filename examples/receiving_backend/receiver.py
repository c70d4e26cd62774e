"""A backend that takes in what Tillbook sends, once each, and keeps books of its own from it.

    python -m examples.receiving_backend.receiver PORT FILE        (the secret is in the variable WEBHOOK_SECRET)

The recipe is three lines long: verify the message, apply it and note its id in one transaction, then answer 200. A
message that comes again finds its id noted and changes nothing. Kill this program wherever you like: what it has not
answered comes again.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

LARGEST_MESSAGE = 256 * 1024
"""Bytes that are read of a message."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS applied (id TEXT PRIMARY KEY, type TEXT NOT NULL, version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS balances (
    user TEXT, asset TEXT, environment TEXT, balance INTEGER NOT NULL, PRIMARY KEY (user, asset, environment)
);
"""


class Books:
    """The receiver's own books: what each user has, and which messages it has applied."""

    def __init__(self, file: str) -> None:
        self._file = file
        with closing(self._open()) as database:
            database.executescript(SCHEMA)

    def apply(self, event: dict[str, Any]) -> bool:
        """Apply one event; False if that was done before."""
        with closing(self._open()) as database, database:  # one transaction: the id and the change together
            noted = database.execute(
                "INSERT INTO applied VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (event["id"], event["type"], event["version"]),
            )
            if noted.rowcount == 0:
                return False
            if event["type"].startswith("coins."):
                wallet, line = event["data"]["wallet"], event["data"]["line"]
                database.execute(
                    "INSERT INTO balances VALUES (:user, :asset, :environment, :amount)"
                    " ON CONFLICT DO UPDATE SET balance = balance + :amount",
                    {**wallet, "amount": line["amount"]},
                )
            return True

    def balance(self, user: str, asset: str = "coin") -> int:
        with closing(self._open()) as database:
            wanted = "SELECT coalesce(sum(balance), 0) FROM balances WHERE user = ? AND asset = ?"
            return int(database.execute(wanted, (user, asset)).fetchone()[0])

    def applied(self) -> int:
        """How many events it has applied."""
        with closing(self._open()) as database:
            return int(database.execute("SELECT count(*) FROM applied").fetchone()[0])

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=30)


def handler_for(books: Books, secret: str) -> type[BaseHTTPRequestHandler]:
    """What answers a message: 200 when it is applied, 400 when it is not genuine."""
    webhook = Webhook(secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), LARGEST_MESSAGE))
            try:
                webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
            except WebhookVerificationError:
                self._answer(400)
                return
            books.apply(json.loads(body))
            self._answer(200)

        def log_message(self, *_: Any) -> None:
            """Say nothing of each request."""

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler


def main() -> None:
    port, file = int(sys.argv[1]), sys.argv[2]
    server = HTTPServer(("127.0.0.1", port), handler_for(Books(file), os.environ["WEBHOOK_SECRET"]))
    server.serve_forever()


if __name__ == "__main__":
    main()
