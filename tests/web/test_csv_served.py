"""CSV files from real gunicorn: a whole one ends as HTTP wants it, one that cannot be read to its end does not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import requests
from sqlalchemy import text

from tests.support import databases
from tests.support.long_statement import write_statement
from tests.support.web_client import BACKEND_KEY
from tests.support.world import build_world
from tests.web.test_slow_senders import running

LINES = 60_000
"""Some 16 MB: more than all buffers between the service and a client that does not read."""
KEY = f"""
[api_keys.backend]
sha256 = "{hashlib.sha256(BACKEND_KEY.encode()).hexdigest()}"
scopes = ["read"]
"""


def test_a_file_that_breaks_off_is_no_whole_file(tmp_path: Path) -> None:
    with running(tmp_path, KEY) as service, databases.engine_for(f"sqlite:///{tmp_path}/books.sqlite3") as engine:
        world = build_world(engine, databases.sessions_for(engine))
        write_statement(world, "alice", LINES)

        def file() -> requests.Response:
            return requests.get(
                f"{service.url}/v1/statement",
                params={"user": "alice", "format": "csv"},
                headers={"Authorization": f"Bearer {BACKEND_KEY}"},
                stream=True,
                timeout=60,
            )

        with file() as whole:
            assert whole.headers["Content-Type"] == "text/csv; charset=utf-8"
            assert sum(1 for _ in whole.iter_lines(chunk_size=65_536)) == LINES + 1
        with file() as broken:
            with engine.begin() as connection:
                connection.execute(text("DROP VIEW postings"))
                connection.execute(text("ALTER TABLE transfers RENAME TO gone"))
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                for _ in broken.iter_content(65_536):
                    pass
        assert "csv_cut_off" in [line["event"] for line in service.lines()]
