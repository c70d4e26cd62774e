"""Where providers notify us: the raw bytes go to the plugin, the plugin's own words go back."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from app.providers.facts import Message
from app.services.intake.notifications import receive_notification
from app.web.context import core

LARGEST_NOTIFICATION = 256 * 1024

blueprint = Blueprint("webhooks", __name__)


@blueprint.post("/webhooks/<account>")
@blueprint.post("/webhooks/<account>/")
def receive(account: str) -> Response:
    """Receive a notification. The URL may end with a slash: one too many at a merchant must not lose money."""
    service = core()
    found = service.registry.get(account)
    if found is None:
        abort(404)
    request.max_content_length = LARGEST_NOTIFICATION
    message = Message(
        source="notification",
        body=request.get_data(cache=False),
        headers={name.lower(): value for name, value in request.headers.items()},
        query_string=request.query_string.decode("latin-1"),
    )
    reply = receive_notification(service, found, message)
    response = Response(reply.body, reply.status, content_type=reply.content_type)
    if not reply.body:
        del response.headers["Content-Type"]
    return response
