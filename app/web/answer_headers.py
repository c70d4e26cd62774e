"""Header fields of every answer: what a browser must not do with it, and what the request's record is told."""

from __future__ import annotations

import base64
import hashlib
import re

from apiflask import APIFlask
from flask import Response, g, request

from app.web.request_log import request_record

_FIELDS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
"""For every answer, a page or not."""
_NOTHING = "default-src 'none'; frame-ancestors 'none'"
"""The policy of what is no page: JSON, counts, a provider's words."""
PLAIN_FIELDS = {**_FIELDS, "Content-Security-Policy": _NOTHING, "Cache-Control": "no-store"}
"""For an answer that Flask does not make."""
_PAGE = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The policy of the API's readable page: its own files, and the one script inside it by its hash."""
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def register_headers(app: APIFlask) -> None:
    app.after_request(_complete)


def _complete(response: Response) -> Response:
    """A page that says more about itself (its own policy) keeps what it says."""
    if request.url_rule is not None:
        request_record().route = request.url_rule.rule
    for name, value in _FIELDS.items():
        response.headers.setdefault(name, value)
    if "Content-Security-Policy" not in response.headers:
        is_page = response.mimetype == "text/html" and request.path.startswith("/docs/")
        response.headers["Content-Security-Policy"] = _policy_of_page(response) if is_page else _NOTHING
    if not request.path.startswith("/docs"):
        response.headers.setdefault("Cache-Control", "no-store")
    if "standing" in g:  # how the user stands with its rate (`user_rates.spend`)
        response.headers.update(g.standing.fields())
    return response


def _policy_of_page(response: Response) -> str:
    response.direct_passthrough = False
    digests = [hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(response.get_data())]
    return _PAGE.format(scripts="".join(f" 'sha256-{base64.b64encode(each).decode()}'" for each in digests))
