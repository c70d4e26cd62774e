"""Plays a quarter in a file that is thrown away:

python -m tests.quarter --days 90 --sales 20 --seed 1
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections import Counter
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import create_engine

from app.models import schema
from tests.quarter.calendar import CHINA
from tests.quarter.whole import play_quarter
from tests.support.databases import engine_for, sessions_for


def main() -> None:
    parser = argparse.ArgumentParser(description="A simulated quarter")
    parser.add_argument("--first", type=date.fromisoformat, default=date(2026, 1, 1), help="the first day")
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--sales", type=int, default=20, help="of a day, beside those of what goes wrong")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--zone", type=ZoneInfo, default=CHINA, help="of the reports: Asia/Shanghai if it is not given")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'quarter.sqlite3'}"
        maker = create_engine(url)
        schema.migrate(maker)
        maker.dispose()
        with engine_for(url) as engine:
            review = play_quarter(
                sessions_for(engine), chosen.first, chosen.days, chosen.sales, chosen.seed, chosen.zone
            )
    print(f"seed {chosen.seed}: {len(review.quarter.diary.sales)} sales; found and repaired:")  # noqa: T201
    for type_, times in sorted(Counter(wrong.type for wrong in review.repaired).items()):
        print(f"  {times:4} {type_}")  # noqa: T201


if __name__ == "__main__":
    main()
