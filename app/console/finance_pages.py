"""Pages for finance: differences between books and bills, and reports with their files."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

from flask import abort, render_template, request, url_for
from pydantic import ValidationError

from app.console.cells import ShownCell, ShownTable, shown_text, table_of
from app.console.sign_in import blueprint, for_role
from app.console.support_pages import ROWS_OF_PAGE
from app.console.waiting import difference_page
from app.domain import representations
from app.domain.accounting_time import Basis
from app.domain.report_tables import Amount, Cell
from app.services.accounts.operators import FINANCE
from app.services.base.context import Tx
from app.services.differences import difference_rows, pairs, repairs
from app.services.differences.difference_lists import DifferenceFilter, list_differences
from app.services.reports.catalogue import REPORTS, draw_report
from app.services.reports.files import ReportFormat
from app.web.context import core, number_in
from app.web.difference_schemas import DifferencesQuery
from app.web.differences import DIFFERENCE_LIST
from app.web.lists import download_permit
from app.web.report_files import ReportQuery, report_file, report_wanted

ROWS_OF_REPORT = 200
"""Rows of a report that its page shows: its file has all of them."""
_QUERY_FIELDS = ("since", "until", "at", "account", "by", "format")
_LISTED = ("number", "at", "provider_account", "type", "state", "ours_minor", "theirs_minor", "theirs", "owner")
_SHOWN = (
    *("at", "provider_account", "side", "type", "state", "ours_minor", "theirs_minor", "ours", "theirs", "refund"),
    *("owner", "note", "written_off_by", "matched_with", "opened_at", "changed_at", "closed_at"),
)


@blueprint.get("/differences")
@for_role(FINANCE)
def show_differences_page() -> Any:
    """Where books and bills disagree, the earliest first."""
    given = _given("account", "type", "state")
    try:
        query, cursor = DifferencesQuery.model_validate(given), request.args.get("cursor")
    except ValidationError:
        abort(422)
    wanted = DifferenceFilter(query.account, query.type, query.state)
    page = list_differences(core(), wanted, None if cursor is None else DIFFERENCE_LIST.place_of(cursor), ROWS_OF_PAGE)
    further = None
    if page.next is not None:
        further = url_for("console.show_differences_page", **given, cursor=DIFFERENCE_LIST.cursor(page.next))
    table = table_of(
        "Differences between books and bills",
        _LISTED,
        map(representations.difference_data, page.rows),
        leads_to=difference_page,
        further=further,
    )
    return render_template("console/differences.html", table=table, state=query.state or "")


@blueprint.get("/differences/<number>")
@for_role(FINANCE)
def show_difference_page(number: str) -> Any:
    """One difference: what each side says, what can be done, what may be its other side, and its history."""
    home = core().home
    row = home.read(partial(difference_rows.find_difference, number=number_in(number)))
    changes = home.read(partial(difference_rows.changes_of, row=row))
    others = map(representations.difference_data, home.read(partial(pairs.proposed_others, row=row)))
    offered = [f"tillbook differences repair {number} --by {repair}" for repair in repairs.offered_for(row)]
    tables = [
        table_of("May be the other side", _LISTED, others),
        table_of("History", ("at", "actor", "what", "detail"), changes),
    ]
    facts = table_of("Difference", _SHOWN, [representations.difference_data(row)])
    return render_template("console/difference.html", number=number, facts=facts, tables=tables, offered=offered)


@blueprint.get("/reports")
@for_role(FINANCE)
def show_reports_page() -> Any:
    """Every report, with what it says."""
    return render_template("console/reports.html", reports=REPORTS)


@blueprint.get("/reports/<name>")
@for_role(FINANCE)
def show_report_page(name: str) -> Any:
    """The first rows of a report, once its time is given; with `format`, its file."""
    if name not in REPORTS:
        abort(404)
    given = _given(*_QUERY_FIELDS)
    try:
        query = ReportQuery.model_validate({"report": name, **given})
    except ValidationError:
        abort(422)
    if "format" in given:
        return report_file(query)
    kind = REPORTS[name]
    is_asked = not given.keys().isdisjoint(_QUERY_FIELDS[:4]) or set[str]() in kind.times.bounds
    shown = _first_rows(query) if is_asked else None
    files = {form: url_for("console.show_report_page", name=name, **given, format=form) for form in ReportFormat}
    accounts = [account.name for account in core().registry] if kind.of_account else []
    bounds = set[str]().union(*kind.times.bounds)
    return render_template(
        "console/report.html",
        name=name,
        kind=kind,
        given=given,
        table=shown,
        files=files,
        accounts=accounts,
        bounds=bounds,
        bases=list(Basis) if "since" in bounds else [],
        needs_time=set[str]() not in kind.times.bounds,
        most=ROWS_OF_REPORT,
    )


def _given(*names: str) -> dict[str, Any]:
    """What the address says under these names: an empty field of a form says nothing."""
    return {name: request.args[name] for name in names if request.args.get(name)}


def _first_rows(query: ReportQuery) -> ShownTable:
    wanted = report_wanted(query)

    def read(tx: Tx) -> ShownTable:
        report = draw_report(tx, query.report, wanted)
        rows = [[_cell(value) for value in row] for row in islice(report.rows, ROWS_OF_REPORT)]
        return ShownTable(report.title, report.columns, rows)

    permit = download_permit()  # to draw a page costs what drawing its file costs
    try:
        return core().for_reports().whole.read(read, snapshot=True)
    finally:
        permit.give_back()


def _cell(value: Cell) -> ShownCell:
    if isinstance(value, Amount):
        return ShownCell(value.decimal(), is_number=True)
    return ShownCell(shown_text(value), is_number=type(value) is int)
