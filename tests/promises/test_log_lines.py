"""The log is one JSON document a line, whoever writes at the same time: several processes share one standard error."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

LINES, THREADS, PROCESSES = 200, 4, 4
WRITER = """
import logging, sys, threading
import structlog
from app import logs

logs.configure()

def write(thread):
    for number in range(int(sys.argv[1])):
        structlog.get_logger("ours").info("event", thread=thread, number=number, text="x" * (number * 40))
        logging.getLogger("a.library").warning("number %d of a library", number)

threads = [threading.Thread(target=write, args=(thread,)) for thread in range(int(sys.argv[2]))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
try:
    raise ValueError("two\\nlines")
except ValueError:
    logging.getLogger("a.library").exception("it broke")
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What all processes have written into one file."""
    file = tmp_path_factory.mktemp("log") / "log"
    command = [sys.executable, "-c", WRITER, str(LINES), str(THREADS)]
    with file.open("ab") as log:
        writers = [subprocess.Popen(command, stderr=log) for _ in range(PROCESSES)]
        assert [writer.wait(60) for writer in writers] == [0] * PROCESSES
    return file.read_text().splitlines()


def test_lines_of_many_processes_and_threads_never_run_into_each_other(written: list[str]) -> None:
    lines = [json.loads(line) for line in written]
    assert len(lines) == PROCESSES * (THREADS * LINES * 2 + 1)
    assert all(line["event"] and line["level"] and line["timestamp"] for line in lines)


def test_a_librarys_line_and_its_traceback_are_one_json_document_too(written: list[str]) -> None:
    lines = [json.loads(line) for line in written]
    broken = [line for line in lines if line["event"] == "it broke"]
    assert len(broken) == PROCESSES
    assert all(line["level"] == "error" and line["logger"] == "a.library" for line in broken)
    assert all(line["exception"].startswith("Traceback") for line in broken)
