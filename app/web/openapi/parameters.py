"""What a request says outside its body: in the path, in the query, and as Idempotency-Key."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter
from werkzeug.routing import Rule

from app.web.fields import AccountName, Number
from app.web.openapi.components import Schema, parameter_schemas
from app.web.schemas import LONGEST_KEY

_UUID = {"type": "string", "format": "uuid"}
PATH_PARAMETERS: dict[str, tuple[str, Schema]] = {
    "number": ("The number, as an answer showed it.", TypeAdapter(Number).json_schema()),
    "provider_account": ("The provider account, by its name.", TypeAdapter(AccountName).json_schema()),
    "hold_id": ("The hold, by its `id`.", _UUID | {"examples": ["0b9e6a52-3f41-8c07-a2d5-6e1f7b90c830"]}),
    "transfer_id": ("The transfer, by its `id`.", _UUID | {"examples": ["0b9e6a52-3f41-8c07-a2d5-6e1f7b90c82f"]}),
}
"""Each variable of a route, with what it means."""
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "One for each thing you want done; repeating a request with its key never does it twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    "example": "7f6d1f0c-order-1",
}


def path_parameters(rule: Rule) -> list[dict[str, Any]]:
    """Raises LookupError for a variable that nobody described."""
    found = []
    for name in sorted(rule.arguments):
        if name not in PATH_PARAMETERS:
            raise LookupError(f"{rule.rule}: describe {name!r} in PATH_PARAMETERS of app/web/openapi/parameters.py")
        description, schema = PATH_PARAMETERS[name]
        plain = {key: value for key, value in schema.items() if key not in ("description", "examples")}
        found.append(
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": description,
                "schema": plain,
                "example": schema["examples"][0],
            }
        )
    return found


def query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    members, required = parameter_schemas(model)
    return [_query_parameter(name, schema, name in required) for name, schema in members.items()]


def _query_parameter(name: str, schema: Schema, required: bool) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": "query", "required": required}
    if "description" in schema:
        parameter["description"] = schema["description"]
    if schema.get("examples"):
        parameter["example"] = schema["examples"][0]
    parameter["schema"] = {key: value for key, value in schema.items() if key not in ("description", "examples")}
    return parameter
