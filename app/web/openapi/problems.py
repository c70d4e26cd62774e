"""Problem documents in the OpenAPI document: for each operation the codes that it may refuse with, by status."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from app.problem_documents import CONTENT_TYPE, members_of
from app.web.errors import ERRORS
from app.web.openapi.components import SCHEMA_PLACE, Schema
from app.web.openapi.header_fields import REQUEST_ID

PROBLEM = "Problem"
EVERYWHERE = (
    "unauthorized",
    "forbidden",
    "bad_actor",
    "too_many_requests",
    "keys_unavailable",
    "database_unavailable",
    "slots_frozen",
    "internal_error",
)
"""What every caller may meet: the last is ours."""
WITH_BODY = ("bad_request", "too_large", "unsupported_media_type", "invalid_request")
WITH_QUERY = ("invalid_request",)


def problem_name(operation_id: str) -> str:
    return operation_id[0].upper() + operation_id[1:] + PROBLEM


def problem_schema(operation_id: str, codes: Iterable[str]) -> Schema:
    """The problem documents of one operation: `code` is one of its codes."""
    return {
        "description": f"Why `{operation_id}` was refused.",
        "allOf": [{"$ref": SCHEMA_PLACE + PROBLEM}],
        "type": "object",
        "properties": {
            "code": {
                "type": "string",
                "enum": sorted(codes),
                "description": "Stable: what programs go by.",
                "examples": [min(codes)],
            }
        },
        "required": ["code"],
    }


def problem_responses(operation_id: str, codes: Iterable[str]) -> dict[str, Any]:
    """The answers with those codes, by status."""
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in sorted(codes):
        by_status[ERRORS[code][0]].append(code)
    return {str(status): _response(operation_id, status, by_status[status]) for status in sorted(by_status)}


def _response(operation_id: str, status: int, codes: list[str]) -> dict[str, Any]:
    return {
        "description": "\n".join(f"- `{code}`: {ERRORS[code][1]}" for code in codes),
        "content": {
            CONTENT_TYPE: {
                "schema": {"$ref": SCHEMA_PLACE + problem_name(operation_id)},
                "examples": {code: {"summary": ERRORS[code][1], "value": _example(code)} for code in codes},
            }
        },
    }


def _example(code: str) -> dict[str, Any]:
    status, title = ERRORS[code]
    return members_of(status, code, title, REQUEST_ID)
