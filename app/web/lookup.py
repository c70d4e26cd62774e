"""Search by any number, and the timelines of orders and agreements: for those who help users, never for a user's own
token."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from apiflask import APIBlueprint

from app.services.lookup.entries import TimelineEntry, sentence
from app.services.lookup.search import Named, things_named
from app.services.lookup.timeline import TimelinePage, agreement_timeline, timeline
from app.web import lookup_schemas as shapes
from app.web.access import needs
from app.web.context import core, number_in

_READ_AT = {"refund": "/v1/refunds", "transfer": "/v1/transfers", "hold": "/v1/holds", "gift": "/v1/gifts"}
blueprint = APIBlueprint("lookup", __name__, url_prefix="/v1", tag="Lookup")


@blueprint.get("/search")
@needs("search")
@blueprint.input(shapes.SearchQuery, location="query", arg_name="query")
@blueprint.output(shapes.SearchOut)
def search_by_number(query: shapes.SearchQuery) -> Any:
    """Everything that a number names.

    The number may be ours of any kind, a provider's, a store's transaction id, a UUID, or a user's id.
    """
    answer = things_named(core(), query.number)
    return {"found": [_named(thing) for thing in answer.found], "missing_databases": answer.missing}


@blueprint.get("/orders/<number>/timeline")
@needs("search")
@blueprint.input(shapes.TimelineQuery, location="query", arg_name="query")
@blueprint.output(shapes.TimelineOut)
def show_timeline(number: str, query: shapes.TimelineQuery) -> Any:
    """Everything that happened to an order, oldest first.

    Facts from every road, calls to the provider with outcome and latency, kept messages, what was booked, refunds,
    freezes, events, and what people did, with name and reason.
    """
    order_id = number_in(number)
    return _shown(timeline(core(), order_id, cursor=query.cursor, limit=query.limit))


@blueprint.get("/agreements/<number>/timeline")
@needs("search")
@blueprint.input(shapes.TimelineQuery, location="query", arg_name="query")
@blueprint.output(shapes.TimelineOut)
def show_agreement_timeline(number: str, query: shapes.TimelineQuery) -> Any:
    """Everything that happened to an agreement, oldest first.

    Its signing, facts, periods, charges and refusals, calls to the provider with outcome and latency, events, and its
    end. What a charge brought is in the timeline of its order.
    """
    agreement = number_in(number)
    return _shown(agreement_timeline(core(), agreement, cursor=query.cursor, limit=query.limit))


def _shown(page: TimelinePage) -> dict[str, Any]:
    return {"entries": [_entry(entry) for entry in page.entries], "next": page.cursor}


def _named(thing: Named) -> dict[str, Any]:
    order = None if thing.order is None else str(thing.order)
    shown = asdict(thing) | {"order": order, "link": _link(thing), "timeline": _timeline_of(thing)}
    del shown["payment"], shown["agreement"]
    return shown


def _timeline_of(thing: Named) -> str | None:
    if thing.agreement is not None:
        return f"/v1/agreements/{thing.agreement}/timeline"
    return None if thing.order is None else f"/v1/orders/{thing.order}/timeline"


def _link(thing: Named) -> str | None:
    if thing.kind in _READ_AT:
        return f"{_READ_AT[thing.kind]}/{thing.number}"
    if thing.agreement is not None:
        return f"/v1/agreements/{thing.agreement}"
    if thing.order is not None:
        return f"/v1/orders/{thing.order}"
    if thing.kind in ("user", "purchase", "agreement"):
        return f"/v1/wallet?user={quote(thing.user or '', safe='')}"
    return None


def _entry(entry: TimelineEntry) -> dict[str, Any]:
    payment = None if entry.payment is None else str(entry.payment)
    return asdict(entry) | {"payment": payment, "text": sentence(entry)}
