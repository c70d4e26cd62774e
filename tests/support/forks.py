"""Work in a fork of the test's process, which may be ended by `kill -9` at a chosen step."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable

from sqlalchemy import Engine

from tests.support.faults import Fuse, fused_engine, killing

FEWER_STEPS = 4
"""So many steps less than the run that was counted may another run have: what it looks up may be known by then."""


def answer_of_fork(work: Callable[[], object]) -> str:
    """What the work gives in a fork of this process, as a text; empty if it fails."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(tell, str(work()).encode())
        finally:
            os._exit(0)
    os.close(tell)
    with open(told, encoding="utf-8") as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def count_steps(url: str, work: Callable[[Engine], object]) -> int:
    """How many steps the work has when nothing goes wrong: run in this process."""
    fuse = Fuse(killing)
    engine = fused_engine(url, fuse)
    with fuse.armed(0):
        work(engine)
    engine.dispose()
    return len(fuse.steps)


def kill_at(url: str, work: Callable[[Engine], object], at: int, steps: int) -> bool:
    """Run the work in a process that is killed at that one of its steps.

    False: it came through, because it had a few steps less than were counted. It must not fail in another way.
    """
    child = os.fork()
    if child == 0:
        _work_and_end(url, work, at)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended == -signal.SIGKILL or (ended == 0 and at > steps - FEWER_STEPS)
    return ended != 0


def _work_and_end(url: str, work: Callable[[Engine], object], at: int) -> None:
    """Ends the process without a word to the test's own connections and fixtures."""
    try:
        fuse = Fuse(killing)
        engine = fused_engine(url, fuse)
        with fuse.armed(at):
            work(engine)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)
