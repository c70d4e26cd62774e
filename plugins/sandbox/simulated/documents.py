"""What callers send to the simulated provider."""

from __future__ import annotations

from typing import Any

from flask import request

from plugins.sandbox.simulated.books import Refused


def asked_document() -> dict[str, Any]:
    """The JSON object in the request. Raises Refused for anything else."""
    document = request.get_json(force=True, silent=True)
    if not isinstance(document, dict):
        raise Refused(400, "BAD_REQUEST")
    return document
