"""Journal entries by hand and closed months: for persons of finance, whom a backend names by `Tillbook-Actor`."""

from __future__ import annotations

from datetime import UTC
from functools import partial
from typing import Any

from apiflask import APIBlueprint

from app.domain.journal import JournalEntry, JournalLine
from app.domain.report_tables import Amount
from app.models.base import AnyRow
from app.services.finance import closings, journal
from app.services.finance.journal import EntryRequest
from app.web import finance_schemas as shapes
from app.web.access import caller, needs, person
from app.web.context import core, number_in
from app.web.lists import CSV_RESPONSE, MOMENT, NUMBER, ListShape, list_answer
from app.web.schemas import idempotency_key

blueprint = APIBlueprint("finance", __name__, url_prefix="/v1", tag="Finance")
ENTRY_COLUMNS = (
    *("number", "status", "document", "reason", "environment", "currency", "total_minor", "lines", "effective_at"),
    *("reverses", "proposed_by", "proposed_at", "ended_by", "ended_at"),
)
JOURNAL_LIST = ListShape("journal-entries", "entries", (MOMENT, NUMBER), ENTRY_COLUMNS)


@blueprint.post("/journal-entries")
@needs("books")
@blueprint.input(shapes.JournalEntryIn, arg_name="body")
@blueprint.output(shapes.JournalEntryOut, status_code=201)
def create_journal_entry(body: shapes.JournalEntryIn) -> Any:
    """Propose a journal entry. It is posted at once if it needs no second person."""
    effective_at = None if body.effective_at is None else body.effective_at.astimezone(UTC)
    entry = JournalEntry(
        document=body.document,
        reason=body.reason,
        currency=body.currency,
        lines=[JournalLine(line.account, line.debit_minor, line.credit_minor) for line in body.lines],
        effective_at=journal.effective_day(effective_at, core().clock.now()),
        environment=body.environment,
    )
    return entry_data(journal.propose_entry(core(), entry, _request()))


@blueprint.get("/journal-entries")
@needs("report")
@blueprint.input(shapes.JournalQuery, location="query", arg_name="query")
@blueprint.output(shapes.JournalEntriesOut)
@blueprint.doc(responses=CSV_RESPONSE)
def list_journal_entries(query: shapes.JournalQuery) -> Any:
    """Journal entries by hand, the newest first."""
    return list_answer(
        JOURNAL_LIST, query, partial(journal.list_entries, core(), status=query.status), entry_data, in_table=_in_table
    )


@blueprint.get("/journal-entries/<number>")
@needs("report")
@blueprint.output(shapes.JournalEntryOut)
def show_journal_entry(number: str) -> Any:
    """One journal entry."""
    entry_id = number_in(number)
    return entry_data(core().home.read(lambda tx: journal.find_entry(tx, entry_id)))


@blueprint.post("/journal-entries/<number>/confirm")
@needs("books")
@blueprint.output(shapes.JournalEntryOut)
def accept_journal_entry(number: str) -> Any:
    """Post a proposed entry, as another person than the one who proposed it. A repeat changes nothing."""
    return entry_data(journal.confirm_entry(core(), number_in(number), actor=person()))


@blueprint.post("/journal-entries/<number>/withdraw")
@needs("books")
@blueprint.output(shapes.JournalEntryOut)
def decline_journal_entry(number: str) -> Any:
    """Say that a proposed entry will never be posted. A repeat changes nothing."""
    return entry_data(journal.withdraw_entry(core(), number_in(number), actor=person()))


@blueprint.post("/journal-entries/<number>/reverse")
@needs("books")
@blueprint.input(shapes.ReversalOfEntryIn, arg_name="body")
@blueprint.output(shapes.JournalEntryOut, status_code=201)
def reverse_journal_entry(number: str, body: shapes.ReversalOfEntryIn) -> Any:
    """Propose the entry that takes back a posted one. Each is taken back once."""
    return entry_data(journal.propose_reversal(core(), number_in(number), body.document, body.reason, _request()))


@blueprint.get("/closings")
@needs("report")
@blueprint.output(shapes.ClosingsOut)
def list_closings() -> Any:
    """Months that are closed or proposed to be."""
    return {"closings": [closing_data(row) for row in core().home.read(closings.list_closings)]}


@blueprint.post("/closings")
@needs("books")
@blueprint.input(shapes.ClosingIn, arg_name="body")
@blueprint.output(shapes.ClosingOut)
def create_closing(body: shapes.ClosingIn) -> Any:
    """Propose to close a month. Proposing again replaces a proposal that nobody has confirmed."""
    return closing_data(closings.propose(core(), body.month, actor=person(), despite=body.despite))


@blueprint.post("/closings/<month>/confirm")
@needs("books")
@blueprint.output(shapes.ClosingOut)
def accept_closing(month: str) -> Any:
    """Close a month, as another person than the one who proposed it. From then on its reports never change."""
    return closing_data(closings.confirm(core(), month, actor=person()))


def entry_data(row: AnyRow) -> dict[str, Any]:
    lines = [
        {"account": line["account"], "debit_minor": line["debit"], "credit_minor": line["credit"]} for line in row.lines
    ]
    return {
        "number": str(row.id),
        "status": row.status,
        "document": row.document,
        "reason": row.reason,
        "environment": row.environment,
        "currency": row.currency,
        "total_minor": sum(line["debit_minor"] for line in lines),
        "lines": lines,
        "effective_at": row.effective_at,
        "reverses": None if row.reverses is None else str(row.reverses),
        "proposed_by": row.proposed_by,
        "proposed_at": row.created_at,
        "ended_by": row.ended_by,
        "ended_at": row.ended_at,
    }


def closing_data(row: AnyRow) -> dict[str, Any]:
    return {**row._asdict(), "proposed_at": row.created_at}


def _in_table(row: AnyRow) -> dict[str, Any]:
    """With its lines in one cell: `suspense 6.00 Dr; bank:shop 6.00 Cr`."""
    data = entry_data(row)
    written = [
        f"{line['account']} {Amount(line['debit_minor'] or line['credit_minor'], row.currency).decimal()}"
        f" {'Dr' if line['debit_minor'] else 'Cr'}"
        for line in data["lines"]
    ]
    return {**data, "lines": "; ".join(written)}


def _request() -> EntryRequest:
    actor = person()
    return EntryRequest(caller().name, idempotency_key(), actor)
