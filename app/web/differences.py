"""Providers' bills, and where these and the books disagree, for the app's backend only."""

from __future__ import annotations

from functools import partial
from typing import Any

from apiflask import APIBlueprint

from app.domain import list_tables, representations
from app.domain.settling import TooMuchLeftOver
from app.models.base import AnyRow
from app.services.base.list_pages import TimeSpan
from app.services.bills import readings
from app.services.differences import difference_rows, pairs, repairs, write_offs
from app.services.differences.difference_lists import DifferenceFilter, list_differences
from app.web import difference_schemas as shapes
from app.web.access import needs, person
from app.web.context import core, number_in
from app.web.lists import CSV_RESPONSE, MOMENT, NUMBER, ListShape, list_answer

blueprint = APIBlueprint("differences", __name__, url_prefix="/v1", tag="Reports")
BILL_LIST = ListShape("bills", "bills", (MOMENT, NUMBER), list_tables.BILL_COLUMNS)
DIFFERENCE_LIST = ListShape("differences", "differences", (MOMENT, NUMBER), list_tables.DIFFERENCE_COLUMNS)


@blueprint.get("/bills")
@needs("report")
@blueprint.input(shapes.BillsQuery, location="query", arg_name="query")
@blueprint.output(shapes.BillsOut)
@blueprint.doc(responses=CSV_RESPONSE)
def list_bills(query: shapes.BillsQuery) -> Any:
    """Bills of providers that were read, by the time that they cover; refused ones say why."""
    read = partial(readings.page_of_readings, core().for_reports(), query.account)
    return list_answer(BILL_LIST, query, read, representations.reading_data)


@blueprint.get("/differences")
@needs("report")
@blueprint.input(shapes.DifferencesQuery, location="query", arg_name="query")
@blueprint.output(shapes.DifferencesOut)
@blueprint.doc(responses=CSV_RESPONSE)
def list_all_differences(query: shapes.DifferencesQuery) -> Any:
    """Where bills and books disagree, the earliest first; `since` and `until` are about when it happened."""
    wanted = DifferenceFilter(query.account, query.type, query.state, TimeSpan(query.since, query.until))
    read = partial(list_differences, core(), wanted)
    return list_answer(DIFFERENCE_LIST, query, read, representations.difference_data)


@blueprint.get("/differences/<number>")
@needs("report")
@blueprint.output(shapes.DifferenceWithHistoryOut)
def show_difference(number: str) -> Any:
    """One difference with its history, what can be done about it, and what may be its other side."""
    row = _difference(number_in(number))
    changes = core().home.read(partial(difference_rows.changes_of, row=row))
    others = core().home.read(partial(pairs.proposed_others, row=row))
    history = [{"at": each.at, "actor": each.actor, "what": each.what, "detail": each.detail} for each in changes]
    proposed = {"perhaps_the_other_side": [str(other.id) for other in others]}
    return {
        **representations.difference_data(row),
        "history": history,
        "repairs": list(repairs.offered_for(row)),
        **proposed,
    }


@blueprint.get("/differences/<number>/repair")
@needs("report")
@blueprint.input(shapes.RepairQuery, location="query", arg_name="query")
@blueprint.output(shapes.RepairPlanOut)
def show_repair(number: str, query: shapes.RepairQuery) -> Any:
    """What a repair would do about a difference; nothing is done."""
    plan = repairs.plan_repair(core(), number_in(number), query.by)
    return {"by": plan.repair, "would": plan.sentence}


@blueprint.post("/differences/<number>/repair")
@needs("books")
@blueprint.input(shapes.RepairIn, arg_name="body")
@blueprint.output(shapes.DifferenceOut)
def repair_difference(number: str, body: shapes.RepairIn) -> Any:
    """Repair a difference along the normal road: ask the provider, apply the row of the bill, refund, or fetch the bill
    again. Its moment is compared once more afterwards: that alone ends it (`gone`). A repeat does nothing twice."""
    actor = person()
    plan = repairs.plan_repair(core(), number_in(number), body.by)
    try:
        repairs.carry_out(core(), plan, actor=actor, reason=body.reason)
    except TooMuchLeftOver as error:
        raise difference_rows.NotDone(str(error)) from None
    return representations.difference_data(_difference(plan.row.id))


@blueprint.post("/differences/<number>/take")
@needs("books")
@blueprint.input(shapes.TakeIn, arg_name="body")
@blueprint.output(shapes.DifferenceOut)
def assign_difference(number: str, body: shapes.TakeIn) -> Any:
    """Say who works on it."""
    row = difference_rows.take_difference(core(), number_in(number), actor=person(), owner=body.owner)
    return representations.difference_data(row)


@blueprint.post("/differences/<number>/note")
@needs("books")
@blueprint.input(shapes.NoteIn, arg_name="body")
@blueprint.output(shapes.DifferenceOut)
def annotate_difference(number: str, body: shapes.NoteIn) -> Any:
    """Write a note beside it."""
    row = difference_rows.note_difference(core(), number_in(number), body.note, actor=person())
    return representations.difference_data(row)


@blueprint.post("/differences/<number>/write-off")
@needs("books")
@blueprint.input(shapes.DifferenceReasonIn, arg_name="body")
@blueprint.output(shapes.WriteOffOut)
def add_write_off(number: str, body: shapes.DifferenceReasonIn) -> Any:
    """Propose to write it off, and see what that would book. Another person confirms it."""
    return _written_off(write_offs.propose_write_off(core(), number_in(number), body.reason, actor=person()))


@blueprint.post("/differences/<number>/write-off/confirm")
@needs("books")
@blueprint.output(shapes.WriteOffOut)
def accept_write_off(number: str) -> Any:
    """Write it off, as another person than the one who proposed it: now it is booked."""
    return _written_off(write_offs.confirm_write_off(core(), number_in(number), actor=person()))


def _written_off(row: AnyRow) -> dict[str, Any]:
    entries = core().home.read(partial(write_offs.write_off_entries, row=row))
    shown = [
        {
            "amount_minor": entry.total,
            "currency": entry.currency,
            **{"debit" if line.debit else "credit": line.account for line in entry.lines},
        }
        for entry in entries
    ]
    return {**representations.difference_data(row), "entries": shown}


def _difference(number: int) -> AnyRow:
    return core().home.read(partial(difference_rows.find_difference, number=number))


@blueprint.post("/differences/<number>/match")
@needs("books")
@blueprint.input(shapes.MatchIn, arg_name="body")
@blueprint.output(shapes.DifferencesMatchedOut)
def add_match(number: str, body: shapes.MatchIn) -> Any:
    """Say that two differences are the two sides of one payment or refund, of one sum and near in time: they end
    together. A repeat changes nothing."""
    matched = pairs.match_differences(core(), number_in(number), number_in(body.other), body.reason, actor=person())
    return {"differences": [representations.difference_data(row) for row in matched]}


@blueprint.post("/differences/<number>/resolve")
@needs("books")
@blueprint.input(shapes.DifferenceReasonIn, arg_name="body")
@blueprint.output(shapes.DifferenceOut)
def end_difference(number: str, body: shapes.DifferenceReasonIn) -> Any:
    """Say that nothing is left to be done. Found again, it is open again; what no repair can mend (`not_ours`, `fee`,
    `late`, `balance`, `payout_missing`) stays ended for as long as the bill says the same."""
    row = difference_rows.resolve_difference(core(), number_in(number), body.reason, actor=person())
    return representations.difference_data(row)


@blueprint.post("/differences/<number>/reopen")
@needs("books")
@blueprint.input(shapes.DifferenceReasonIn, arg_name="body")
@blueprint.output(shapes.DifferenceOut)
def resume_difference(number: str, body: shapes.DifferenceReasonIn) -> Any:
    """Take back that it was resolved or matched. Of two that were matched both are open again."""
    return representations.difference_data(
        pairs.reopen_difference(core(), number_in(number), body.reason, actor=person())
    )
