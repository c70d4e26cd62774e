"""`python -m tests.support.killed_command N COMMAND...`: a command of `tillbook` that kills itself, as by SIGKILL, in
place of its Nth commit; 0: it is not killed."""

from __future__ import annotations

import os
import signal
import sys

from sqlalchemy import Connection, Engine, event

from app.cli import main


def _count(kill_at: int) -> None:
    commits = 0

    def commit(_: Connection) -> None:
        nonlocal commits
        commits += 1
        if commits == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "commit", commit)


if __name__ == "__main__":
    _count(int(sys.argv[1]))
    main(sys.argv[2:])
