"""Reports as files, for the app's backend and for finance."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from apiflask import APIBlueprint
from flask import Response
from pydantic import AfterValidator, Field

from app.domain.accounting_time import TICK, Basis, Span
from app.services.base.context import Tx
from app.services.base.errors import DomainError
from app.services.reports.catalogue import REPORTS, ReportWanted, check_bounds, draw_report
from app.services.reports.files import MEDIA_TYPES, ReportFormat, csv_lines, write_workbook
from app.web.access import needs
from app.web.context import core
from app.web.fields import AccountField
from app.web.lists import DownloadPermit, download_permit
from app.web.reports import When, moment_asked
from app.web.schemas import EmptyTimeSpan, In

LONGEST_REPORT = timedelta(days=93)
"""A quarter. Longer ones are drawn by `tillbook report`, where no other request waits for them."""
PIECE_BYTES = 65_536
"""So much of a file is in memory while it is sent."""
_WORKBOOK = MEDIA_TYPES[ReportFormat.XLSX]
_FILE: Any = {
    200: {
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": "environment,product,provider_account\r\n"},
            _WORKBOOK: {"schema": {"type": "string", "format": "binary"}, "example": "UEsDBC0AAAAIAA"},
        }
    }
}

blueprint = APIBlueprint("report_files", __name__, url_prefix="/v1", tag="Reports")


class SpanTooLong(DomainError):
    """More days than one request may ask for."""

    code = "time_span_too_long"


def _is_report(name: str) -> str:
    if name not in REPORTS:
        raise ValueError("there is no such report")
    return name


class ReportQuery(In):
    report: Annotated[str, AfterValidator(_is_report)] = Field(
        description="Which. "
        + " ".join(f"`{name}` ({kind.times.words}): {kind.about}" for name, kind in REPORTS.items()),
        json_schema_extra={"enum": list(REPORTS)},
        examples=["sales"],
    )
    since: When | None = Field(
        default=None,
        description="From that day on, in the configured zone, or from that moment.",
    )
    until: When | None = Field(
        default=None, description="Up to the end of that day, or up to and including that moment."
    )
    at: When | None = Field(default=None, description="As of the end of that day, or of that moment.")
    account: AccountField | None = Field(
        default=None,
        description="Only of this provider account: "
        + ", ".join(f"`{name}`" for name, kind in REPORTS.items() if kind.of_account)
        + ".",
    )
    by: Basis = Field(
        default=Basis.EFFECTIVE,
        description="`effective`: when it happened, in a closed month what was closed. `booking`: when it was booked.",
        examples=["effective"],
    )
    format: ReportFormat = Field(default=ReportFormat.CSV, description="Of the file.", examples=["csv"])


@blueprint.get("/report-files")
@needs("report")
@blueprint.input(ReportQuery, location="query", arg_name="query")
@blueprint.doc(responses=_FILE)
def show_report_file(query: ReportQuery) -> Any:
    """A report as a CSV file or an XLSX workbook; a period has at most 93 days. Money is decimal, with its currency
    beside it."""
    return report_file(query)


def report_file(query: ReportQuery) -> Response:
    """The report as a file that is sent piece by piece."""
    wanted = report_wanted(query)
    permit, folder = download_permit(), tempfile.TemporaryDirectory()
    try:
        file = Path(folder.name) / "report"
        core().for_reports().whole.read(lambda tx: _write(tx, query, wanted, file), snapshot=True)
    except BaseException:
        _done(folder, permit)
        raise
    response = Response(_pieces(file, folder, permit), content_type=MEDIA_TYPES[query.format])
    response.content_length = file.stat().st_size
    response.headers["Content-Disposition"] = f'attachment; filename="{query.report}.{query.format}"'
    response.call_on_close(lambda: _done(folder, permit))
    return response


def report_wanted(query: ReportQuery) -> ReportWanted:
    """Of which time and account it is. Raises WrongBounds, NoSuchDay, EmptyTimeSpan, SpanTooLong."""
    times = {"since": query.since, "until": query.until, "at": query.at}
    check_bounds(query.report, {**times, "account": query.account})
    at = None if query.at is None else moment_asked(query.at, is_end=True)
    return ReportWanted(_span(query.since, query.until), at, query.by, query.account or "")


def _span(since: str | None, until: str | None) -> Span | None:
    if since is None or until is None:
        return None
    span = Span(moment_asked(since, is_end=False), moment_asked(until, is_end=True) + TICK)
    if span.since >= span.until:
        raise EmptyTimeSpan
    if span.until - span.since > LONGEST_REPORT:
        raise SpanTooLong
    return span


def _write(tx: Tx, query: ReportQuery, wanted: ReportWanted, file: Path) -> None:
    table = draw_report(tx, query.report, wanted)
    if query.format is ReportFormat.XLSX:
        write_workbook(table, file, tx.core.rules.ledger.zone)
        return
    with file.open("w", encoding="utf-8", newline="") as opened:
        opened.writelines(csv_lines(table))


def _pieces(file: Path, folder: tempfile.TemporaryDirectory[str], permit: DownloadPermit) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            yield piece
    _done(folder, permit)


def _done(folder: tempfile.TemporaryDirectory[str], permit: DownloadPermit) -> None:
    folder.cleanup()
    permit.give_back()
