"""The command that moves slots is killed, and run again; at every commit by `python -m tests.demo.killed_moves`."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.demo.killed_moves import KilledMoves, filled

IN_THE_MIDDLE = 40
"""Of its commits: the slot is copied, and not yet deleted where it was."""


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_a_killed_move_is_ended_by_the_same_command(engine: Engine, second_engine: Engine, tmp_path: Path) -> None:
    moves = KilledMoves({"first": engine, "second": second_engine}, filled([engine, second_engine]), tmp_path)
    assert moves.kill_before(IN_THE_MIDDLE), "it has fewer commits now"
