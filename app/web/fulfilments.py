"""Orders that the app's backend fulfils, because its wallets live elsewhere."""

from __future__ import annotations

from functools import partial
from typing import Any

from apiflask import APIBlueprint

from app.domain import list_tables, representations
from app.domain.fulfilment import FulfilmentStatus
from app.services.base.idempotency import keyed
from app.services.fulfilments import answers, waiting
from app.services.fulfilments.answers import FulfilmentAnswer
from app.web import fulfilment_schemas as shapes
from app.web.access import caller, needs
from app.web.context import core, number_in
from app.web.lists import CSV_RESPONSE, MOMENT, NUMBER, ListShape, list_answer
from app.web.schemas import ListQuery, idempotency_key

blueprint = APIBlueprint("fulfilments", __name__, url_prefix="/v1", tag="Orders")
FULFILMENT_LIST = ListShape("fulfilments", "fulfilments", (MOMENT, NUMBER), list_tables.FULFILMENT_COLUMNS)


@blueprint.post("/orders/<number>/fulfilment")
@needs("events")
@blueprint.input(shapes.FulfilmentIn, arg_name="body")
@blueprint.output(shapes.FulfilmentOut)
def answer_fulfilment(number: str, body: shapes.FulfilmentIn) -> Any:
    """Say what became of a wish that the event `fulfilment.ordered` or `fulfilment.take_back` told.

    A wish that is not answered is told again. An answer that comes again changes nothing; another answer to the same
    revision is refused.
    """
    order_id, who = number_in(number), caller()
    request = keyed(who.name, idempotency_key(), "answer_fulfilment", {**who.content(body), "order": number})
    given = FulfilmentAnswer(
        order_id=order_id,
        revision=body.revision,
        status=FulfilmentStatus(body.status),
        reason=body.reason,
        reference=body.reference,
        actor=who.actor,
    )
    answers.take_answer(core(), given, request)
    return _shown(order_id)


@blueprint.get("/orders/<number>/fulfilment")
@needs("events")
@blueprint.output(shapes.FulfilmentOut)
def show_fulfilment(number: str) -> Any:
    """What the backend is asked for about an order, and what it answered. 404: the order is not paid, or its coins are
    in Tillbook."""
    return _shown(number_in(number))


@blueprint.get("/fulfilments")
@needs("events")
@blueprint.input(ListQuery, location="query", arg_name="query")
@blueprint.output(shapes.FulfilmentsOut)
@blueprint.doc(responses=CSV_RESPONSE)
def list_fulfilments(query: ListQuery) -> Any:
    """Fulfilments that a person should look at: wishes that are not answered within an hour, and refused orders whose
    money is still here."""
    return list_answer(
        FULFILMENT_LIST,
        query,
        partial(waiting.list_waiting_fulfilments, core()),
        lambda row: representations.fulfilment_data(row, row._asdict()),
    )


def _shown(order_id: int) -> dict[str, Any]:
    row, order = answers.fulfilment_with_order(core(), order_id)
    return representations.fulfilment_data(row, order._asdict())
