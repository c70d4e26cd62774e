"""Endpoints: where events are sent, and what became of each sending. For the app's backend only."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from apiflask import APIBlueprint

from app.domain import representations
from app.domain.chart import HOUSE_SLOT
from app.domain.numbers import slot_of_uuid
from app.models.base import AnyRow
from app.services.base.context import Tx
from app.services.base.idempotency import NO_RESOURCE, Keyed, decided_once, keyed
from app.services.events import deliveries, endpoint_tests, endpoints
from app.web import endpoint_schemas as shapes
from app.web import schemas
from app.web.access import caller, needs
from app.web.context import core

blueprint = APIBlueprint("endpoints", __name__, url_prefix="/v1/endpoints", tag="Endpoints")


@blueprint.post("")
@needs("events")
@blueprint.input(shapes.EndpointIn, arg_name="body")
@blueprint.output(shapes.EndpointWithSecretOut, status_code=201)
def add_endpoint(body: shapes.EndpointIn) -> Any:
    """Send events to this address from now on. The answer has the secret that signs them."""
    wanted = endpoints.NewEndpoint(body.name, body.url, body.types, endpoints.BY_API, caller().name, body.after)
    _once(body.name, "add_endpoint", body, lambda tx: endpoints.add_endpoint(tx, wanted))
    return _shown(body.name, with_secret=True)


@blueprint.get("")
@needs("events")
@blueprint.output(shapes.EndpointsOut)
def list_endpoints() -> Any:
    """All endpoints, how they are, and how much waits for them."""
    answer = core().what_answers(endpoints.shown_endpoints)
    return {"endpoints": answer.found, "missing_databases": answer.missing}


@blueprint.get("/<name>")
@needs("events")
@blueprint.output(shapes.OneEndpointOut)
def show_endpoint(name: str) -> Any:
    """One endpoint."""
    return _shown(name)


@blueprint.delete("/<name>")
@needs("events")
@blueprint.output({}, status_code=204)
def remove_endpoint(name: str) -> Any:
    """Send nothing there any more. What waits for it is dropped; its deliveries are forgotten."""
    core().home.transact(lambda tx: endpoints.remove_endpoint(tx, name))
    return ""


@blueprint.post("/<name>/rotate")
@needs("events")
@blueprint.input(shapes.RotateIn, arg_name="body")
@blueprint.output(shapes.EndpointWithSecretOut)
def rotate_endpoint_secret(name: str, body: shapes.RotateIn) -> Any:
    """Make a new secret. Those before it go on signing for a while, so a receiver can change in peace."""
    overlap = timedelta(hours=body.overlap_hours)
    _once(name, "rotate_endpoint", body, lambda tx: endpoints.rotate_secret(tx, name, overlap))
    return _shown(name, with_secret=True)


@blueprint.post("/<name>/pause")
@needs("events")
@blueprint.input(shapes.PauseIn, arg_name="body")
@blueprint.output(shapes.OneEndpointOut)
def pause_endpoint(name: str, body: shapes.PauseIn) -> Any:
    """Send nothing there until it is resumed. Nothing is lost while events are kept."""
    _once(name, "pause_endpoint", body, lambda tx: endpoints.pause_endpoint(tx, name, body.reason, caller().name))
    return _shown(name)


@blueprint.post("/<name>/resume")
@needs("events")
@blueprint.output(shapes.OneEndpointOut)
def resume_endpoint(name: str) -> Any:
    """Send again, beginning with what was missed, in order."""
    _once(name, "resume_endpoint", None, lambda tx: endpoints.resume_endpoint(tx, name))
    return _shown(name)


@blueprint.post("/<name>/test")
@needs("events")
@blueprint.output(shapes.AttemptOut)
def test_endpoint(name: str) -> Any:
    """Send a message of the type `endpoint.test` there, once and now, and show the answer. It is no event."""
    schemas.idempotency_key()
    return endpoint_tests.as_shown(endpoint_tests.send_test(core(), name))


@blueprint.get("/<name>/deliveries")
@needs("events")
@blueprint.input(shapes.DeliveriesQuery, location="query", arg_name="query")
@blueprint.output(shapes.DeliveriesOut)
def list_deliveries(name: str, query: shapes.DeliveriesQuery) -> Any:
    """What was and is to be sent there, the newest events first, each with its last attempt."""
    page = deliveries.list_deliveries(
        core(), name, status=query.status, user_id=query.user, before=query.cursor, limit=query.limit
    )
    shown = [representations.delivery_data(row) for row in page.rows]
    return {"deliveries": shown, "next": page.following, "missing_databases": page.missing}


@blueprint.post("/<name>/resend")
@needs("events")
@blueprint.input(shapes.ResendIn, arg_name="body")
@blueprint.output(shapes.ResentOut)
def resend_events(name: str, body: shapes.ResendIn) -> Any:
    """Send everything since a moment again, in order, also what was never sent there. A receiver that applies an event
    once is not disturbed."""
    _once(name, "resend_events", body, lambda tx: deliveries.resend_since(tx, name, body.since))
    return {"events": _shown(name)["behind"]}


@blueprint.post("/<name>/deliveries/<uuid:event_id>/resend")
@needs("events")
@blueprint.output(shapes.DeliveryOut)
def resend_event(name: str, event_id: uuid.UUID) -> Any:
    """Send one event there once more, whatever its delivery had come to."""
    _once_of_event(name, "resend", event_id, partial(deliveries.resend_event, event_id=event_id))
    return _delivery(name, event_id)


@blueprint.post("/<name>/deliveries/<uuid:event_id>/give-up")
@needs("events")
@blueprint.output(shapes.DeliveryOut)
def give_up_delivery(name: str, event_id: uuid.UUID) -> Any:
    """Send this event there no more, so that the next ones of its user are sent."""
    _once_of_event(name, "give up", event_id, partial(deliveries.give_up_delivery, event_id=event_id, by=caller().name))
    return _delivery(name, event_id)


def _once(name: str, what: str, body: schemas.In | None, change: Callable[[Tx], object]) -> None:
    """Make the change once for each Idempotency-Key. The key stands for no row: an endpoint may be removed."""
    request = _keyed(name, what, body.model_dump(mode="json") if body is not None else {})
    decided_once(core(), HOUSE_SLOT, request, partial(_without_resource, change), where=core().house)


def _once_of_event(name: str, what: str, event_id: uuid.UUID, change: Callable[[Tx, AnyRow], object]) -> None:
    """Change one delivery of an event, in the slot of the event."""
    row = core().home.read(lambda tx: endpoints.find_endpoint(tx, name))
    request = _keyed(name, f"{what} {event_id}", {})
    decided_once(core(), slot_of_uuid(event_id), request, partial(_without_resource, lambda tx: change(tx, row)))


def _keyed(name: str, what: str, content: dict[str, Any]) -> Keyed:
    return keyed(caller().name, schemas.idempotency_key(), what, {"endpoint": name, **content})


def _without_resource(change: Callable[[Tx], object], tx: Tx) -> int:
    change(tx)
    return NO_RESOURCE


def _shown(name: str, *, with_secret: bool = False) -> Any:
    def work(tx: Tx) -> dict[str, Any]:
        row = endpoints.find_endpoint(tx, name)
        shown = endpoints.shown_endpoint(tx, row)
        return {**shown, "secret": endpoints.newest_secret(tx, row)} if with_secret else shown

    answer = core().what_answers(work)
    return {**answer.found, "missing_databases": answer.missing}


def _delivery(name: str, event_id: uuid.UUID) -> Any:
    row = core().home.read(lambda tx: endpoints.find_endpoint(tx, name))
    found = core().at(slot_of_uuid(event_id)).read(lambda tx: deliveries.find_delivery(tx, row.id, event_id))
    return representations.delivery_data(found)
