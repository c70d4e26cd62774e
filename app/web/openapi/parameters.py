"""What a request says outside its body: in the path, in the query, and in header fields."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter
from werkzeug.routing import Rule

from app.web.access import ACTOR_FIELD, LONGEST_ACTOR
from app.web.fields import AccountField, Number
from app.web.finance_schemas import MonthField
from app.web.openapi.components import Schema, parameter_schemas
from app.web.openapi.header_fields import REQUEST_ID as REQUEST_ID_EXAMPLE
from app.web.request_log import ID_FIELD, LONGEST_REQUEST_ID
from app.web.schemas import LONGEST_KEY

_PRINTABLE = "^[!-~]([ -~]*[!-~])?$"
_UUID = {"type": "string", "format": "uuid"}
PATH_PARAMETERS: dict[str, tuple[str, Schema]] = {
    "number": ("The number, as an answer showed it.", TypeAdapter(Number).json_schema()),
    "provider_account": ("The provider account, by its name.", TypeAdapter(AccountField).json_schema()),
    "name": ("The endpoint, by your name for it.", {"type": "string", "examples": ["game"]}),
    "month": ("The month.", TypeAdapter(MonthField).json_schema()),
    "event_id": ("The event, by its `id`.", _UUID | {"examples": ["5c1f6a0e-77b2-8d41-9e03-2b8c4d5f6a10"]}),
    "hold_id": ("The hold, by its `id`.", _UUID | {"examples": ["0b9e6a52-3f41-8c07-a2d5-6e1f7b90c830"]}),
    "transfer_id": ("The transfer, by its `id`.", _UUID | {"examples": ["0b9e6a52-3f41-8c07-a2d5-6e1f7b90c82f"]}),
}
"""Each variable of a route, with what it means."""
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "One for each thing you want done; repeating a request with its key never does it twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": _PRINTABLE},
    "example": "7f6d1f0c-order-1",
}

REQUEST_ID_PARAMETER: dict[str, Any] = {
    "name": ID_FIELD,
    "in": "header",
    "required": False,
    "description": f"Your id for this request: 1 to {LONGEST_REQUEST_ID} letters, digits and `._:/+=@-`. Any other text"
    " is replaced by a new id. The answer and the service's log have it.",
    # No pattern: a text that does not fit is replaced, not refused.
    "schema": {"type": "string"},
    "example": REQUEST_ID_EXAMPLE,
}
ACTOR: dict[str, Any] = {
    "name": ACTOR_FIELD,
    "in": "header",
    "required": False,
    "description": "From a backend: the person or program for whom it acts, written down with what changes.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_ACTOR, "pattern": _PRINTABLE},
    "example": "mei",
}


def path_parameters(rule: Rule) -> list[dict[str, Any]]:
    """One that nobody described is a text; the tests ask for its description."""
    return [_path_parameter(name) for name in sorted(rule.arguments)]


def _path_parameter(name: str) -> dict[str, Any]:
    description, schema = PATH_PARAMETERS.get(name, ("", {"type": "string"}))
    return _parameter(name, "path", True, schema | {"description": description})


def query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    members, required = parameter_schemas(model)
    return [_parameter(name, "query", name in required, schema) for name, schema in members.items()]


def _parameter(name: str, place: str, required: bool, schema: Schema) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": place, "required": required}
    if "description" in schema:
        parameter["description"] = schema["description"]
    if schema.get("examples"):
        parameter["example"] = schema["examples"][0]
    parameter["schema"] = {key: value for key, value in schema.items() if key not in ("description", "examples")}
    return parameter
