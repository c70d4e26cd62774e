"""Pages for finance: differences between books and bills, and the trial balance."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import abort, render_template, request, url_for
from pydantic import ValidationError

from app.console.cells import ShownCell, ShownTable, label, table_of
from app.console.sign_in import blueprint, for_role
from app.console.support_pages import ROWS_OF_PAGE
from app.console.waiting import difference_page
from app.console.wording import say
from app.domain import representations
from app.domain.accounting_time import Basis
from app.domain.chart import chart_account
from app.domain.money import is_currency_code
from app.domain.report_tables import Amount
from app.domain.trial_balance import TrialSheet
from app.services.accounts.operators import FINANCE
from app.services.differences import difference_rows, pairs, repairs
from app.services.differences.difference_lists import DifferenceFilter, list_differences
from app.services.finance.accounting_periods import balance_by
from app.web.context import core, number_in
from app.web.difference_schemas import DifferencesQuery
from app.web.differences import DIFFERENCE_LIST
from app.web.reports import MOST_DAYS, moment_asked

_LISTED = ("number", "at", "provider_account", "type", "state", "ours_minor", "theirs_minor", "theirs", "owner")
_SHOWN = (
    *("at", "provider_account", "side", "type", "state", "ours_minor", "theirs_minor", "ours", "theirs", "refund"),
    *("owner", "note", "written_off_by", "matched_with", "opened_at", "changed_at", "closed_at"),
)


@blueprint.get("/differences")
@for_role(FINANCE)
def show_differences_page() -> Any:
    """Where books and bills disagree, the earliest first."""
    given = {name: request.args[name] for name in ("account", "type", "state") if request.args.get(name)}
    try:
        query, cursor = DifferencesQuery.model_validate(given), request.args.get("cursor")
    except ValidationError:
        abort(422)
    wanted = DifferenceFilter(query.account, query.type, query.state)
    page = list_differences(core(), wanted, None if cursor is None else DIFFERENCE_LIST.place_of(cursor), ROWS_OF_PAGE)
    further = None
    if page.next is not None:
        values: dict[str, Any] = {**given, "cursor": DIFFERENCE_LIST.cursor(page.next)}
        further = url_for("console.show_differences_page", **values)
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


@blueprint.get("/trial-balance")
@for_role(FINANCE)
def show_trial_balance_page() -> Any:
    """What every account gained and lost up to the end of a day; now, where none is given."""
    given = request.args.get("at", "")
    now = core().clock.now()
    at = moment_asked(given, is_end=True) if given else None
    read = partial(balance_by, basis=Basis.EFFECTIVE, now=now, at=at, most_days=MOST_DAYS)
    found = core().for_reports().whole.read(read, snapshot=True)
    tables = [_sheet(sheet) for sheet in found.sheets]
    return render_template(
        "console/trial_balance.html", at=found.at, given=given, balanced=found.balanced, tables=tables
    )


def _sheet(sheet: TrialSheet) -> ShownTable:
    columns = ("account", "owner", "debits", "credits", "balance")
    is_money = is_currency_code(sheet.asset) and all(chart_account(line.code) for line in sheet.lines)

    def written(value: int) -> ShownCell:
        return ShownCell(Amount(value, sheet.asset).decimal() if is_money else str(value), is_number=True)

    rows = [
        [
            ShownCell(line.code),
            ShownCell(say("all users") if line.of_users else say("house")),
            *map(written, (line.debits, line.credits, line.balance)),
        ]
        for line in sheet.lines
    ]
    return ShownTable(f"{sheet.asset} ({sheet.environment})", [label(name) for name in columns], rows)
