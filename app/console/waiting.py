"""What waits for a person: each kind of thing with what it means, the command that deals with it, and the oldest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import url_for

from app.console.cells import ShownTable, table_of
from app.console.wording import say
from app.domain import representations
from app.domain.remedies import remedy
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.services.base.context import Core, Tx
from app.services.differences.difference_lists import DifferenceFilter, list_differences
from app.services.events.endpoints import shown_endpoints
from app.services.facts import inbox, parked
from app.services.facts.fact_search import ShownFact, described
from app.services.payments import expiry
from app.services.refunds.overdue import Overdue, list_overdue_refunds

_MESSAGES = ("id", "received_at", "provider_account", "reason", "detail")
_FACTS = ("id", "recorded_at", "provider_account", "kind", "amount_minor", "user", "product", "reason", "remedy")
_PAYMENTS = ("id", "expires_at", "provider_account", "status", "theirs", "queries")
_REFUNDS = ("id", "created_at", "provider_account", "status", "amount_minor", "queries")
_UNSIZED = ("id", "raised_at", "provider_account", "theirs", "status")
_ENDPOINTS = ("name", "url", "paused_at", "paused_by", "reason")
_DIFFERENCES = ("number", "at", "provider_account", "type", "state", "ours_minor", "theirs_minor", "owner")
WAITING_SHOWN = 20
"""So many of each kind are shown, the oldest first."""


@dataclass(frozen=True, slots=True)
class WaitingTable:
    """One kind of thing that waits. `means` and `does` say what it is, and what to do about it."""

    table: ShownTable
    means: str
    does: str


@dataclass(frozen=True, slots=True)
class EverythingWaiting:
    """Every kind of which something waits. `missing` names the databases of which not everything is here."""

    tables: list[WaitingTable]
    missing: list[str]


def everything_waiting(core: Core, *, for_finance: bool) -> EverythingWaiting:
    """What waits; differences only for finance."""
    answer = core.what_answers(_read)
    missing = {*answer.missing}
    overdue = list_overdue_refunds(core, WAITING_SHOWN)
    missing.update(overdue.missing)
    found = [*_told(answer.found), *_stuck(answer.found, overdue.found)]
    if for_finance:
        found.extend(_of_finance(core))  # lies at home, where the session lies
    return EverythingWaiting([each for each in found if each.table.rows], sorted(missing))


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is read in one transaction."""

    messages: list[AnyRow]
    parked: list[ShownFact]
    surplus: list[ShownFact]
    payments: list[AnyRow]
    endpoints: list[dict[str, Any]]


def _read(tx: Tx) -> _Rows:
    parked_facts, surplus = (
        described(tx, parked.list_parked(tx, outcome, WAITING_SHOWN)) for outcome in (Outcome.PARKED, Outcome.SURPLUS)
    )
    return _Rows(
        messages=inbox.waiting_messages(tx, limit=WAITING_SHOWN),
        parked=parked_facts,
        surplus=surplus,
        payments=list(expiry.overdue(tx, WAITING_SHOWN)),
        endpoints=shown_endpoints(tx),
    )


def _told(rows: _Rows) -> Iterable[WaitingTable]:
    yield WaitingTable(
        table_of("Messages that could not be used", _MESSAGES, rows.messages),
        say("A provider's message could not be read, or names what is not known here."),
        "tillbook messages replay NUMBER, tillbook messages resolve NUMBER",
    )
    yield WaitingTable(
        table_of("Facts that match nothing", _FACTS, map(_fact, rows.parked)),
        say("A provider told something genuine that matches nothing here."),
        "tillbook facts assign NUMBER, tillbook facts reexamine NUMBER",
    )
    yield WaitingTable(
        table_of("Money paid twice or too late", _FACTS, map(_fact, rows.surplus)),
        say("An order was paid twice, or after its end."),
        "tillbook facts list --outcome surplus",
    )


def _fact(each: ShownFact) -> Mapping[str, Any]:
    row, told = each.row, each.row.content
    known = {name: getattr(row, name) for name in ("id", "recorded_at", "provider_account", "kind", "reason")}
    money = {"amount_minor": told["amount_minor"], "currency": told["currency"]}
    return {**known, **money, "user": each.user, "product": each.product, "remedy": say(remedy(row.reason))}


def _stuck(rows: _Rows, overdue: Overdue) -> Iterable[WaitingTable]:
    yield WaitingTable(
        table_of("Payments that do not end", _PAYMENTS, rows.payments),
        say("Their time is over, and the provider neither says that they are paid nor closes them."),
        "tillbook payments close NUMBER",
    )
    yield WaitingTable(
        table_of("Refunds that do not end", _REFUNDS, overdue.refunds),
        say("They have been open for more than three days."),
        "tillbook refunds end NUMBER",
    )
    yield WaitingTable(
        table_of("Refunds of unknown amount", _UNSIZED, overdue.payments),
        say("Some money of these payments went back, and the provider has not said how much."),
        "tillbook refunds end NUMBER",
    )
    paused = [each for each in rows.endpoints if each["paused_at"] is not None]
    yield WaitingTable(
        table_of("Endpoints that are paused", _ENDPOINTS, paused),
        say("They are told no events until they are resumed."),
        "tillbook endpoints resume NAME",
    )


def _of_finance(core: Core) -> Iterable[WaitingTable]:
    page = list_differences(core, DifferenceFilter(), None, WAITING_SHOWN)
    found = map(representations.difference_data, page.rows)
    yield WaitingTable(
        table_of("Differences between books and bills", _DIFFERENCES, found, leads_to=difference_page),
        say("A provider's bill and the books disagree."),
        "tillbook differences show NUMBER",
    )


def difference_page(entry: Mapping[str, Any]) -> str:
    """The page about a difference."""
    return url_for("console.show_difference_page", number=entry["number"])
