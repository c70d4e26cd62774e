"""Fourteen months of a user or two at each provider: what `python -m tests.years` does for hundreds and longer."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.years.debit_providers import DEBIT_STAGES
from tests.years.debit_years import DebitYears
from tests.years.store_years import StoreYears

START = datetime(2027, 1, 20, tzinfo=UTC)
"""Two Februaries follow, one with 29 days."""
DAYS = 427
STEP = 12


@pytest.fixture
def database(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    shutil.copyfile(sqlite_template, tmp_path / "years.sqlite3")
    return f"sqlite:///{tmp_path / 'years.sqlite3'}"


@pytest.mark.parametrize("provider", sorted(DEBIT_STAGES))
def test_what_the_provider_took_is_credited_once_and_active_as_a_model_says(provider: str, database: str) -> None:
    years = DebitYears(database, provider, users=1, start=START, seed=4, step=STEP)
    years.run(DAYS)
    years.till.close()
    assert years.periods() > 5


def test_what_a_store_sold_and_gave_back_is_in_the_wallets_and_active_as_a_model_says(database: str) -> None:
    years = StoreYears(database, users=2, start=START, seed=4, step=STEP)
    years.run(DAYS)
    years.till.close()
    assert years.periods() > 10
