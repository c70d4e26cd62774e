"""`python -m tests.years alipay --users 40 --months 24 --seed 1`; 1 if anything disagrees."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog

from tests.conftest import create_schema
from tests.years.debit_providers import DEBIT_STAGES
from tests.years.debit_years import DebitYears
from tests.years.store_years import StoreYears
from tests.years.verdict import Disagreement, counted

DAYS_A_MONTH = 30.5
START = datetime(2026, 4, 20, tzinfo=UTC)
"""Two years from here on have the end of two Februaries, one of them the 29th."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.years")
    parser.add_argument("provider", choices=sorted([*DEBIT_STAGES, "apple"]))
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--step", type=int, default=1, help="hours at a time")
    given = parser.parse_args()
    os.environ.setdefault("TILLBOOK_ENV", "test")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        url = f"sqlite:///{folder}/years.sqlite3"
        create_schema(url)
        began = time.monotonic()
        years: DebitYears | StoreYears
        if given.provider == "apple":
            years = StoreYears(url, given.users, START, given.seed, given.step)
        else:
            years = DebitYears(url, given.provider, given.users, START, given.seed, given.step)
        try:
            years.run(round(given.months * DAYS_A_MONTH))
        except Disagreement as found:
            sys.stdout.write(f"{given.provider}, seed {given.seed}: DISAGREEMENT\n{found}\n")
            return 1
        finally:
            years.till.close()
        sys.stdout.write(
            f"{given.provider}, seed {given.seed}: {given.users} users, {given.months} months, {years.periods()}"
            f" periods, {years.hours} hours of users, {years.seen} comparisons,"
            f" {time.monotonic() - began:.0f} s: all agree ({counted(years.till.happened)})\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
