"""One message to an endpoint, now and once, so that a person sees whether the receiver takes what we sign.

The message is no event: its type is in no catalogue, no row is written, and nothing is sent again.
"""

from __future__ import annotations

from typing import Any

from app.domain.delivery_schedule import AnswerMeaning, meaning_of
from app.domain.ledger import microseconds
from app.domain.representations import plain
from app.domain.webhook_signatures import signed_headers
from app.services.base.context import Core
from app.services.base.errors import AddressRefused, Invalid
from app.services.base.outbox import event_id
from app.services.base.sanitize import storable_text
from app.services.events import endpoints
from app.services.events.delivery_rounds import as_body
from app.services.events.endpoint_client import KEPT_OF_ANSWER, Attempt, EndpointClient
from app.services.events.example_events import BY_TEST

TEST_TYPE = "endpoint.test"


def send_test(core: Core, name: str) -> Attempt:
    """Raises NotFound; Invalid for an endpoint that has no secret or no usable address any more."""
    row = core.home.read(lambda tx: endpoints.find_endpoint(tx, name))
    now = core.clock.now()
    secrets = endpoints.signing_secrets(core.rules.push, row, now)
    if not secrets:
        raise Invalid("no secret is there to sign with", field="secrets")
    new = event_id(0, microseconds(now))
    content = {"id": new, "type": TEST_TYPE, "timestamp": now, "data": {"endpoint": name}, "cause": BY_TEST}
    body = as_body(plain(content))
    try:
        client = EndpointClient(row.url, core.rules.push, 1)
    except (ValueError, OSError) as error:
        raise AddressRefused(f"the endpoint cannot be used: {error}", field="url") from None
    try:
        return client.post(signed_headers(str(new), now, body, secrets), body)
    finally:
        client.close()


def as_shown(attempt: Attempt) -> dict[str, Any]:
    return {
        "taken": meaning_of(attempt.status) is AnswerMeaning.TAKEN,
        "code": attempt.status,
        "latency_ms": attempt.latency_ms,
        "problem": attempt.problem,
        "answer": storable_text(attempt.answer.decode("utf-8", "replace"), KEPT_OF_ANSWER),
    }
