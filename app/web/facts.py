"""Facts that a person has to end: so far refunds of what an earlier system sold."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from app.domain.money import Money
from app.services.facts import imported_refunds
from app.services.facts.imported_refunds import FactNotEnded, RefundOfImport
from app.web import finance_schemas as shapes
from app.web.access import needs, person
from app.web.context import core, number_in

blueprint = APIBlueprint("facts", __name__, url_prefix="/v1/facts", tag="Finance")


@blueprint.get("/<number>/end")
@needs("report")
@blueprint.input(shapes.RefundPriceQuery, location="query", arg_name="query")
@blueprint.output(shapes.RefundOfImportOut)
def show_end_of_fact(number: str, query: shapes.RefundPriceQuery) -> Any:
    """How a refund of what an earlier system sold stands, and what would be booked to end it."""
    return _data(imported_refunds.look_at(core(), number_in(number), _price(query)))


@blueprint.post("/<number>/end")
@needs("books")
@blueprint.input(shapes.EndOfFactIn, arg_name="body")
@blueprint.output(shapes.RefundOfImportOut)
def end_fact(number: str, body: shapes.EndOfFactIn) -> Any:
    """Book such a refund, and end it: at once, or when a second person has confirmed the entry. A repeat changes
    nothing."""
    found = imported_refunds.look_at(core(), number_in(number), _price(body))
    return _data(imported_refunds.end_refund(core(), found, body.reason, actor=person()))


@blueprint.post("/<number>/end/confirm")
@needs("books")
@blueprint.output(shapes.RefundOfImportOut)
def accept_end_of_fact(number: str) -> Any:
    """Post the proposed entry as another person than the one who proposed it, and end the fact. A repeat changes
    nothing."""
    found = imported_refunds.look_at(core(), number_in(number))
    return _data(imported_refunds.confirm_end(core(), found, actor=person()))


def _price(told: shapes.RefundPriceQuery | shapes.EndOfFactIn) -> Money | None:
    if (told.price_minor is None) != (told.currency is None):
        raise FactNotEnded("`price_minor` and `currency` belong together")
    if told.price_minor is None or told.currency is None:
        return None
    return Money(told.price_minor, told.currency)


def _data(found: RefundOfImport) -> dict[str, Any]:
    row, agreement = found.row, found.agreement
    return {
        "number": str(row.id),
        "state": found.state,
        "provider_account": row.provider_account,
        "provider_number": row.content["theirs"],
        "user": None if agreement is None else agreement.user_id,
        "agreement": None if agreement is None else str(agreement.id),
        "at": row.at,
        "price_minor": None if found.price is None else found.price.minor,
        "currency": None if found.price is None else found.price.currency,
        "refunded_minor": found.refunded_minor,
        "booked_minor": found.booked_minor,
        "entry": None if found.newest is None else str(found.newest.id),
    }
