"""Reports as files over HTTP: bounded in days, for a backend with the scope, and gone from the disk afterwards."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import pytest
from openpyxl import load_workbook

from tests.support.web_client import ApiClient
from tests.support.world import World

PATH = "/v1/report-files"
JANUARY = {"since": "2026-01-01", "until": "2026-01-31"}


@pytest.fixture
def sold(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One pack is sold. The folder in which files are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    payment = world.order().payments[0]
    world.pay(payment.id)
    world.deliver()
    return tmp_path


def test_a_report_comes_as_csv_or_as_a_workbook_and_leaves_nothing_behind(backend: ApiClient, sold: Path) -> None:
    before = set(sold.iterdir())
    answer = backend.get(PATH, report="sales", **JANUARY)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sales.csv"'
    assert answer.text.splitlines()[1] == "sandbox,coins-60,sandbox,CNY,1,1,6.00,0.00,6.00,"
    answer.close()
    answer = backend.get(PATH, report="journal", format="xlsx", **JANUARY)
    names, debit, credit = load_workbook(io.BytesIO(answer.data)).active.iter_rows(values_only=True)
    assert names[6:9] == ("debit", "credit", "currency")
    assert (debit[3], debit[6], credit[3], credit[7]) == ("clearing:sandbox", 6, "sales", 6)
    answer.close()
    assert set(sold.iterdir()) == before


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"until": "2026-04-30"}, 422, "time_span_too_long"),
        ({"since": "2026-02-01"}, 409, "empty_time_span"),
        ({"until": "2026-01-3"}, 422, "invalid_request"),
        ({"since": "2026-02-30", "until": "2026-03-01"}, 409, "no_such_day"),
        ({"report": "wages"}, 422, "invalid_request"),
        ({"format": "pdf"}, 422, "invalid_request"),
    ],
)
def test_what_cannot_be_drawn_is_refused(backend: ApiClient, query: dict[str, str], status: int, code: str) -> None:
    answer = backend.get(PATH, **{"report": "sales", **JANUARY, **query})
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_users_have_no_reports(alice: ApiClient) -> None:
    assert alice.get(PATH, report="sales", **JANUARY).status_code == 403
