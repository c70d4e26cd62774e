"""What a refusal looks like to callers (RFC 9457): one form for the application and for the server before it."""

from __future__ import annotations

from typing import Any

CONTENT_TYPE = "application/problem+json"


def members_of(status: int, code: str, title: str, request_id: str) -> dict[str, Any]:
    """What every problem document has: the standard members, the code by which programs tell refusals apart, and the
    request that was refused, if it has an id."""
    kind = f"https://tillbook.invalid/problems/{code}"
    members = {"type": kind, "title": title, "status": status, "code": code}
    return {**members, "request_id": request_id} if request_id else members
