"""The command that moves slots is killed, and run again; at every commit by `python -m tests.demo.killed_moves`."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.models.slot_fence import tables_by_slot
from tests.demo.killed_moves import KilledMoves, filled

THE_DELETION = 11 + 2 * len(tables_by_slot())
"""Which of its commits that is: before it come those of the move's own row, of the map, of each table's fence in both
databases, of the copy."""


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_a_killed_move_is_ended_by_the_same_command(engine: Engine, second_engine: Engine, tmp_path: Path) -> None:
    moves = KilledMoves({"first": engine, "second": second_engine}, filled([engine, second_engine]), tmp_path)
    assert moves.kill_before(THE_DELETION)
    assert moves.lay_in_both, "the deletion is another one of its commits now"
