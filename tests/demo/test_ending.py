"""The demonstration leaves no process behind, and says what it waits for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest

from app.services.base.moved_clock import MovedClock
from tests.demo import house, play
from tests.demo.patience import SECONDS, wait_for

ROOT = Path(__file__).parents[2]
UP = "service, worker and simulators are up"


def _processes_of(folder: Path) -> set[int]:
    """Whoever has the folder in its environment: the service, its children and the worker."""
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if str(folder).encode() in (entry / "environ").read_bytes():
                found.add(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc")
@pytest.mark.timeout(300)
def test_ctrl_c_ends_every_process_of_the_demonstration(tmp_path: Path) -> None:
    environ = {**os.environ, "DEMO_FOLDER": str(tmp_path), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.demo.play"], cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        said = []
        for line in demo.stdout:
            said.append(line)
            if UP in line:
                break
        assert UP in said[-1], "".join(said)
        running = _processes_of(tmp_path) - {demo.pid}
        assert len(running) >= 4, "gunicorn, its two processes and the worker"
        demo.send_signal(signal.SIGINT)
        demo.wait(timeout=60)
    assert demo.returncode == 128 + signal.SIGINT
    time.sleep(0.2)
    assert _processes_of(tmp_path) == set()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc")
@pytest.mark.parametrize("number", play.ENDING, ids=lambda number: number.name)
def test_each_signal_that_asks_for_the_end_ends_what_was_started(tmp_path: Path, number: signal.Signals) -> None:
    """Without the service: what the demonstration does around its scenes, in a fork, with a process that sleeps."""
    demo = os.fork()
    if demo == 0:
        _be_a_demonstration_of_one_process(tmp_path)
    wait_for("the process that sleeps", (tmp_path / "up").exists, seconds=30)
    assert _processes_of(tmp_path) != set()
    os.kill(demo, number)
    assert os.waitstatus_to_exitcode(os.waitpid(demo, 0)[1]) == 128 + number
    assert _processes_of(tmp_path) == set()


def _be_a_demonstration_of_one_process(folder: Path) -> NoReturn:
    code = 1
    try:
        play.end_on(*play.ENDING)
        environ = {**os.environ, "DEMO_FOLDER": str(folder)}
        running = house.Running(folder, "", "", "", environ, MovedClock(folder / "clock"))
        try:
            running.start("sleeper", "python", "-c", "import time; time.sleep(60)")
            (folder / "up").touch()
            while True:
                time.sleep(1)
        finally:
            running.stop()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        os._exit(code)


def test_waiting_says_what_for_and_ends_with_that(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="in vain for the bus"):
        wait_for("the bus", lambda: False, seconds=0.5, silent=0.1)
    assert "waiting for the bus" in capsys.readouterr().out
    assert SECONDS == 180


def test_what_has_come_is_not_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    wait_for("nothing", lambda: True, seconds=0)
    assert capsys.readouterr().out == ""
