"""Header fields of every answer: what a browser must not do with it."""

from __future__ import annotations

import base64
import hashlib
import re

from flask import Response

ANSWER_FIELDS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)
"""What every answer bears that says nothing else itself: JSON, counts, a provider's words."""
_PAGE = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The policy of the API's readable page: its own files, and the one script inside it by its hash."""
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def with_page_policy(response: Response) -> Response:
    """The API's readable page, allowed to load its own files. Other answers of its blueprint stay as they are."""
    if response.mimetype == "text/html":
        response.direct_passthrough = False
        digests = [hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(response.get_data())]
        scripts = "".join(f" 'sha256-{base64.b64encode(each).decode()}'" for each in digests)
        response.headers["Content-Security-Policy"] = _PAGE.format(scripts=scripts)
    return response
