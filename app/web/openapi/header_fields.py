"""Header fields of answers: described once, and named by each answer that has them."""

from __future__ import annotations

from typing import Any

from app.web.errors import RETRY_AFTER_SECONDS
from app.web.request_log import ID_FIELD
from app.web.user_rates import RATE_POLICY, WINDOW_SECONDS

PLACE = "#/components/headers/"
REQUEST_ID = "01JDS3GZ0C8V2M5QK7R9T4W6XY"
_ALL = (ID_FIELD,)
_OF_USERS = ("RateLimit-Policy", "RateLimit", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_BY_STATUS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
UNAUTHENTICATED = 401
"""Nobody is known to have asked, so nobody's limit is told."""


def _text(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string", "examples": [example]}}


def _number(description: str, example: int) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "integer", "minimum": 0, "examples": [example]}}


HEADERS: dict[str, dict[str, Any]] = {
    ID_FIELD: _text("The id of this request: the caller's own, or a new one. The service's log has it.", REQUEST_ID),
    "Retry-After": _number(
        "Seconds to wait before the request is sent again, with the same Idempotency-Key.", RETRY_AFTER_SECONDS
    ),
    "WWW-Authenticate": _text("How to authenticate: by a bearer token.", "Bearer"),
    "RateLimit-Policy": _text(
        "To users only: how many requests (`q`) a user may send within how many seconds (`w`).",
        f'"{RATE_POLICY}";q=600;w={WINDOW_SECONDS}',
    ),
    "RateLimit": _text(
        "To users only: how many requests are left (`r`), and in how many seconds nothing is used up any more (`t`).",
        f'"{RATE_POLICY}";r=598;t=1',
    ),
    "RateLimit-Limit": _number("To users only: `q` of `RateLimit-Policy`, for older clients.", 600),
    "RateLimit-Remaining": _number("To users only: `r` of `RateLimit`, for older clients.", 598),
    "RateLimit-Reset": _number("To users only: `t` of `RateLimit`, for older clients.", 1),
}
"""Each field, by its name, as the document's components have it."""


def headers_of(status: int, *, for_users: bool) -> dict[str, Any]:
    """The fields of an answer with that status, as references."""
    told = _OF_USERS if for_users and status != UNAUTHENTICATED else ()
    return {name: {"$ref": PLACE + name} for name in (*_ALL, *_BY_STATUS.get(status, ()), *told)}
