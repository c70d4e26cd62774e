"""Reports as files over HTTP: bounded in days, for a backend with the scope, and gone from the disk afterwards."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import pytest
from openpyxl import load_workbook

from app.services.reports.catalogue import REPORTS
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
        ({"report": "fees", "account": "nobody"}, 409, "unknown_provider_account"),
    ],
)
def test_what_cannot_be_drawn_is_refused(backend: ApiClient, query: dict[str, str], status: int, code: str) -> None:
    answer = backend.get(PATH, **{"report": "sales", **JANUARY, **query})
    assert (answer.status_code, answer.json["code"]) == (status, code)


@pytest.mark.parametrize("report", list(REPORTS))
def test_each_report_comes_over_http_and_says_which_bound_is_missing(
    backend: ApiClient, sold: Path, report: str
) -> None:
    """Asked as its table of bounds says; then without one of them, and with one that it does not take."""
    del sold
    values, kind = {**JANUARY, "at": "2026-01-31"}, REPORTS[report]
    bounds = [sorted(names) for names in kind.times.bounds]
    for names in bounds:
        answer = backend.get(PATH, report=report, **{name: values[name] for name in names})
        if report in ("contract-liability", "revenue"):  # no worker has been here
            assert (answer.status_code, answer.json["code"]) == (409, "days_not_worked_out")
        else:
            assert (answer.status_code, answer.mimetype) == (200, "text/csv"), answer.text
        answer.close()
    for names in bounds:
        for missing in names:
            rest = [name for name in names if name != missing]
            if rest not in bounds:
                answer = backend.get(PATH, report=report, **{name: values[name] for name in rest})
                assert (answer.status_code, answer.json["code"]) == (409, "report_bounds")
                assert answer.json["detail"].endswith(" must be given")
                assert f"`{missing}`" in answer.json["detail"].partition(": ")[2]
    not_taken = {"since", "until", "at", *(() if kind.of_account else ("account",))}.difference(*bounds)
    for name in not_taken:
        given = {one: values[one] for one in bounds[0]} | {name: values.get(name, "sandbox")}
        answer = backend.get(PATH, report=report, **given)
        assert answer.json["detail"].endswith(f"`{name}` cannot be given")


def test_what_is_of_now_and_what_is_of_a_day_come_with_their_figures(backend: ApiClient, sold: Path) -> None:
    del sold
    [unspent] = backend.get(PATH, report="unspent").text.splitlines()[1:]
    assert unspent.endswith(",60,6.00,CNY")
    [deferred] = backend.get(PATH, report="deferred-revenue").text.splitlines()[1:]
    assert deferred == "sandbox,coins-60,2026-01,coin,60,6.00,CNY"
    [clearing] = backend.get(PATH, report="clearing", at="2026-01-31", account="sandbox").text.splitlines()[1:]
    assert clearing == "2026-01-31,sandbox,sandbox,CNY,,6.00,0.00,"
    balances = backend.get(PATH, report="trial-balance", at="2026-01-31").text.splitlines()
    assert "sandbox,CNY,house,clearing:sandbox,,Receivable from the provider,6.00,0.00,-6.00" in balances
    assert "sales,liability,credit,Contract liability,合同负债,," in backend.get(PATH, report="chart").text


def test_users_have_no_reports(alice: ApiClient) -> None:
    assert alice.get(PATH, report="sales", **JANUARY).status_code == 403
