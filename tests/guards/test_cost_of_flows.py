"""What a flow costs does not creep up: statements, waits for the database, transactions, signatures, and how far a
reader of the code has to walk.

These counts are the same on every machine, unlike times. Their limits are in `cost_limits.toml`;
`python -m bench.walk` shows the counts beside them, and writes them when they became lower.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import make_url

from tests.support import cost_limits, flows
from tests.support.counting import Cost


def test_no_flow_costs_more_than_its_limits(database_url: str, tmp_path: Path) -> None:
    costs = flows.measure(database_url, tmp_path)
    kind = make_url(database_url).get_backend_name()
    assert list(cost_limits.passed(costs, cost_limits.limits(kind))) == []


def test_each_count_above_its_limit_is_told() -> None:
    allowed = {"wallet": Cost(2, 4, 1, 1, 30, 10, 30), "order": Cost()}
    costs = {"wallet": Cost(3, 4, 1, 2, 30, 9, 30), "spend": Cost()}
    assert list(cost_limits.passed(costs, allowed)) == [
        "order: not both measured and limited",
        "spend: not both measured and limited",
        "wallet: 3 statements, at most 2 are allowed",
        "wallet: 2 signatures, at most 1 are allowed",
    ]


def test_a_row_of_the_table_is_read_back_as_it_was_written() -> None:
    costs = cost_limits.limits("postgresql")
    assert len(costs) > 10
    table = cost_limits.TABLE.read_text(encoding="utf-8")
    assert all(row in table for row in cost_limits.as_rows(costs))
