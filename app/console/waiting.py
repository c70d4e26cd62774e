"""What waits for a person: each kind of thing with what it means, the command that deals with it, and the oldest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from flask import url_for

from app.console.cells import ShownTable, table_of
from app.console.wording import say
from app.domain import representations
from app.domain.remedies import remedy
from app.domain.status import Outcome
from app.services.base.context import UNANSWERED, Core
from app.services.base.slot_maps import database_of_error
from app.services.differences.difference_lists import DifferenceFilter, list_differences
from app.services.events.endpoints import shown_endpoints
from app.services.facts import inbox, parked
from app.services.facts.fact_search import ShownFact, described
from app.services.payments import expiry
from app.services.refunds.overdue import list_overdue_refunds

_MESSAGES = ("id", "received_at", "provider_account", "reason", "detail")
_FACTS = ("id", "recorded_at", "provider_account", "kind", "amount_minor", "user", "product", "reason", "remedy")
_PAYMENTS = ("id", "expires_at", "provider_account", "status", "theirs", "queries")
_REFUNDS = ("id", "created_at", "provider_account", "status", "amount_minor", "queries")
_UNSIZED = ("id", "raised_at", "provider_account", "theirs", "status")
_ENDPOINTS = ("name", "url", "paused_at", "paused_by", "reason")
_DIFFERENCES = ("number", "at", "provider_account", "type", "state", "ours_minor", "theirs_minor", "owner")
_log = structlog.get_logger(__name__)
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
    """Every kind of which something waits. `is_whole` is false where one of several databases does not answer."""

    tables: list[WaitingTable]
    is_whole: bool


def everything_waiting(core: Core, *, for_finance: bool) -> EverythingWaiting:
    """What waits; differences only for finance."""
    found, is_whole = list[WaitingTable](), True
    try:
        for kinds in (_told, _stuck):
            found.extend(kinds(core))
    except UNANSWERED as error:
        is_whole = False
        log_left_out(error)
    if for_finance:
        found.extend(_of_finance(core))  # lies at home, where the session lies
    return EverythingWaiting([each for each in found if each.table.rows], is_whole)


def log_left_out(error: Exception) -> None:
    """A page is shown without what lies in a database that does not answer."""
    _log.error("database_left_out", database=database_of_error(error), error=type(error).__name__)


def _told(core: Core) -> Iterable[WaitingTable]:
    messages = core.whole.read(lambda tx: inbox.waiting_messages(tx, limit=WAITING_SHOWN))
    yield WaitingTable(
        table_of("Messages that could not be used", _MESSAGES, messages),
        say("A provider's message could not be read, or names what is not known here."),
        "tillbook messages replay NUMBER, tillbook messages resolve NUMBER",
    )
    yield WaitingTable(
        table_of("Facts that match nothing", _FACTS, _facts(core, Outcome.PARKED)),
        say("A provider told something genuine that matches nothing here."),
        "tillbook facts assign NUMBER, tillbook facts reexamine NUMBER",
    )
    yield WaitingTable(
        table_of("Money paid twice or too late", _FACTS, _facts(core, Outcome.SURPLUS)),
        say("An order was paid twice, or after its end."),
        "tillbook facts list --outcome surplus",
    )


def _facts(core: Core, outcome: Outcome) -> list[Mapping[str, Any]]:
    found = core.whole.read(lambda tx: described(tx, parked.list_parked(tx, outcome, WAITING_SHOWN)))
    return [_fact(each) for each in found]


def _fact(each: ShownFact) -> Mapping[str, Any]:
    row, told = each.row, each.row.content
    known = {name: getattr(row, name) for name in ("id", "recorded_at", "provider_account", "kind", "reason")}
    money = {"amount_minor": told["amount_minor"], "currency": told["currency"]}
    return {**known, **money, "user": each.user, "product": each.product, "remedy": say(remedy(row.reason))}


def _stuck(core: Core) -> Iterable[WaitingTable]:
    payments = core.whole.read(lambda tx: expiry.overdue(tx, WAITING_SHOWN))
    yield WaitingTable(
        table_of("Payments that do not end", _PAYMENTS, payments),
        say("Their time is over, and the provider neither says that they are paid nor closes them."),
        "tillbook payments close NUMBER",
    )
    overdue = list_overdue_refunds(core, WAITING_SHOWN)
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
    paused = [each for each in core.whole.read(shown_endpoints) if each["paused_at"] is not None]
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
