"""What each flow costs in counts that are the same on every machine, beside the limits of the test suite's guard.

    python -m bench.walk                      both databases; exits with 1 if a limit is passed
    python -m bench.walk --database sqlite
    python -m bench.walk --write              puts the counts of this run into the table of limits

Statements, waits for the database server, transactions, signatures; functions and files of app/ and plugins/ that are
entered, and moves from one file into another, as a reader makes them (row classes, logging and composition left out).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path

from tests.conftest import create_schema
from tests.support import cost_limits, databases
from tests.support.counting import Cost
from tests.support.flows import measure

HEAD = """# What each flow may cost at most: see test_cost_of_flows.py. `python -m bench.walk --write` writes the table.
# A count may only go down, or have its reason in the commit that raises it.
"""


@contextmanager
def empty_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a database with the schema."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'tillbook.sqlite3'}"
        create_schema(url)
        yield url
        return
    with databases.postgres_database() as url:
        create_schema(url)
        yield url


def show(kind: str, costs: dict[str, Cost]) -> None:
    names = [item.name for item in fields(Cost)]
    print(f"\n## {kind}\n\n| flow | {' | '.join(names)} |\n| --- |{' ---: |' * len(names)}")
    for name, cost in costs.items():
        print(f"| {name} | {' | '.join(map(str, astuple(cost)))} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=cost_limits.DATABASES, action="append")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    kinds = cost_limits.DATABASES if given.write else given.database or cost_limits.DATABASES
    measured: dict[str, dict[str, Cost]] = {}
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder, empty_database(kind, Path(folder)) as url:
            measured[kind] = measure(url, Path(folder))
        show(kind, measured[kind])
    if given.write:
        tables = ["\n".join([f"\n[{kind}]", *cost_limits.as_rows(costs)]) for kind, costs in measured.items()]
        cost_limits.TABLE.write_text(HEAD + "\n".join(tables) + "\n", encoding="utf-8")
        return 0
    found = [
        f"{kind}: {line}"
        for kind, costs in measured.items()
        for line in cost_limits.passed(costs, cost_limits.limits(kind))
    ]
    print("\n".join(["", *found]) if found else "\nwithin the limits")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
