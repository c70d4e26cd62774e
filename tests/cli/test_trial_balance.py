"""`tillbook report trial-balance`: the figures, and an exit status that a script can go by."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.services.base.transaction import Sessions
from tests.support.books import DAY, DAY_ONE, HOUR, MINUTE, START, Books

Run = Callable[..., Result]


@pytest.fixture
def run(sessions: Sessions, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, on books with two grants and a checkpoint after them."""
    books = Books(sessions)
    books.issue(5, START, "user-1")
    books.issue(6, START + 3 * HOUR, "user-2")
    books.work(START + 2 * DAY)
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


def test_it_prints_a_table_whose_total_is_zero(run: Run) -> None:
    done = run("report", "trial-balance")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[1:] == [
        "",
        "coin live",
        "  account        debits  credits  balance",
        "  issuance           11        0      -11",
        "  users: wallet       0       11       11",
        "  total              11       11        0",
    ]


def test_as_of_a_moment_and_as_json(run: Run) -> None:
    done = run("report", "trial-balance", "--at", "2026-03-01T10:59:00+08:00", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["at"] == (START + 3 * HOUR - MINUTE).isoformat()
    assert found["balanced"] is True
    assert [line["balance"] for line in found["sheets"][0]["lines"]] == ["-5", "5"]


def test_it_exits_1_when_it_does_not_sum_to_zero(run: Run, sessions: Sessions) -> None:
    Books(sessions).run("/* sweep: audit */ UPDATE accounts SET balance = balance + 1 WHERE user_id = 'user-1'")
    done = run("report", "trial-balance")
    assert done.exit_code == 1
    assert "NOT BALANCED" in done.stdout
    done = run("report", "trial-balance", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["balanced"] is False


@pytest.mark.parametrize("moment", ["yesterday", "2026-03-01T00:00:00", "0001-01-01T00:00:00+10:00", ""])
def test_a_time_that_is_none_or_has_no_zone_is_refused(run: Run, moment: str) -> None:
    done = run("report", "trial-balance", "--at", moment)
    assert done.exit_code == 2
    assert "time" in done.output


def test_a_person_lets_checkpoints_be_recounted_after_the_audit_named_one(run: Run, sessions: Sessions) -> None:
    books = Books(sessions)
    books.issue(7, START, "user-9")
    assert len(books.audited()) == 1
    done = run("recount-checkpoints", "2026-03-01")
    assert done.output.splitlines()[-1] == "checkpoints: 1 written anew"
    books.assert_checkpoints_are_right()


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "2026-03-01T00:00:00Z", ""])
def test_a_day_that_is_none_is_refused_and_nothing_is_deleted(run: Run, sessions: Sessions, day: str) -> None:
    assert run("recount-checkpoints", day).exit_code == 2
    assert Books(sessions).days() == [DAY_ONE]
