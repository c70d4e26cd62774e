"""Every benchmark can be started: none of them names something that is gone."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
STARTED_BY_OTHERS = {"load", "plain_handler", "__init__"}
"""Processes of their own, which read their work when they begin."""


@pytest.mark.parametrize("name", sorted({file.stem for file in BENCH.glob("*.py")} - STARTED_BY_OTHERS))
def test_a_benchmark_can_be_imported(name: str) -> None:
    importlib.import_module(f"bench.{name}")
