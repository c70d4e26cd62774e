"""What a refusal looks like to callers (RFC 9457): one form for the application and for the server before it."""

from __future__ import annotations

from typing import Any

CONTENT_TYPE = "application/problem+json"


def members_of(status: int, code: str, title: str) -> dict[str, Any]:
    """The standard members, and the code by which programs tell refusals apart."""
    return {"type": f"https://tillbook.invalid/problems/{code}", "title": title, "status": status, "code": code}
