"""Completes the OpenAPI document that APIFlask makes: who may call, the key header, problems as problem+json."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask

from app.web.errors import CONTENT_TYPE
from app.web.schemas import LONGEST_KEY, ProblemOut

_KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "One for each thing you want done; repeating a request with its key never does it twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"},
}
_PROBLEMS = {
    "400": "The request is not readable, or has no Idempotency-Key",
    "401": "No valid credentials",
    "403": "The credentials do not allow that",
    "404": "No such thing",
    "409": "It contradicts what was done before",
    "422": "The request is not valid",
    "429": "A limit of the user or of the caller: wait as long as `Retry-After` says",
    "502": "The provider does not accept our settings",
    "503": "Try again: nothing is lost",
}
_READING = ("400", "401", "403", "404", "422", "429", "503")


def register(app: APIFlask) -> None:
    app.security_schemes = {
        "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A user's token."},
        "backend": {"type": "http", "scheme": "bearer", "description": "The backend's API key, `tbk_…`."},
    }
    app.config["AUTO_VALIDATION_ERROR_RESPONSE"] = False
    app.config["AUTO_404_RESPONSE"] = False
    app.config["INFO"] = {
        "description": "Payments for virtual currency. Amounts are integers in minor units; numbers are decimal "
        "strings; times are UTC. Errors are RFC 9457 problem documents with a stable `code`."
    }
    app.spec_processor(_complete)


def _complete(spec: dict[Any, Any] | str) -> dict[Any, Any] | str:
    if isinstance(spec, str):
        return spec
    spec.setdefault("components", {}).setdefault("schemas", {})["Problem"] = ProblemOut.model_json_schema()
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            if path.startswith("/v1/"):
                _complete_operation(method, path, operation)
    return spec


def _complete_operation(method: str, path: str, operation: dict[str, Any]) -> None:
    operation["security"] = [{"user": []}, {"backend": []}]
    operation["operationId"] = _operation_id(method, path)
    statuses = _READING if method == "get" else tuple(_PROBLEMS)
    for status in statuses:
        operation["responses"][status] = {
            "description": _PROBLEMS[status],
            "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
    if method == "post" and not path.startswith("/v1/receipts/"):
        operation.setdefault("parameters", []).append(_KEY_HEADER)


def _operation_id(method: str, path: str) -> str:
    words = [part.strip("{}").replace("-", "_") for part in path.split("/")[2:]]
    return "_".join([method, *words])
