"""The `tillbook` command in a process of its own that is forked from the test's: no import is paid for again.

What starts a process from nothing (a shell, gunicorn) is tried where that is what a test is about.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from app.cli import main

PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote to its two streams, which were files."""

    code: int
    """Negative: the number of the signal that ended the process."""
    out: str
    err: str


def run_command(*arguments: str, environ: Mapping[str, str], folder: Path | None = None) -> Ended:
    """Run the command to its end."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = end_of(fork_command(arguments, environ, (out.fileno(), err.fileno()), folder=folder))
        return Ended(code, _all(out.fileno()), _all(err.fileno()))


def fork_command(
    arguments: tuple[str, ...],
    environ: Mapping[str, str],
    streams: tuple[int, int],
    *,
    folder: Path | None = None,
    prepare: Callable[[], object] = lambda: None,
) -> int:
    """Start the command with descriptors as its standard output and standard error; the process's id.

    `prepare` is done in the new process before the command begins.
    """
    child = os.fork()
    if child == 0:
        _be_the_command(arguments, environ, streams, folder, prepare)
    return child


def end_of(child: int) -> int:
    """The exit code, once the process has ended. One that hangs is killed."""
    with _killed_later(child):
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@contextlib.contextmanager
def _killed_later(child: int) -> Iterator[None]:
    timer = threading.Timer(PATIENCE_SECONDS, os.kill, (child, signal.SIGKILL))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _be_the_command(
    arguments: tuple[str, ...],
    environ: Mapping[str, str],
    streams: tuple[int, int],
    folder: Path | None,
    prepare: Callable[[], object],
) -> NoReturn:
    """Ends the process without a word to the test's own connections and fixtures."""
    code = 1
    try:
        os.environ.clear()
        os.environ.update(environ)
        if folder is not None:
            os.chdir(folder)
        for number, stream in enumerate(streams, start=1):
            os.dup2(stream, number)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        prepare()
        main(list(arguments), prog_name="tillbook")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream_ in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream_.flush()
        os._exit(code)


def _all(stream: int) -> str:
    os.lseek(stream, 0, os.SEEK_SET)
    with open(stream, encoding="utf-8", closefd=False) as file:
        return file.read()
