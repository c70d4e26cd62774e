"""Errors as RFC 9457 problem documents with a stable `code`. Nothing that goes wrong is answered in another shape."""

from __future__ import annotations

from typing import Any

import structlog
from apiflask import APIFlask
from apiflask.exceptions import HTTPError
from flask import Response, jsonify, request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from app.services.base.errors import Problem

CONTENT_TYPE = "application/problem+json"
_log = structlog.get_logger(__name__)
_HTTP_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
}


def problem(status: int, code: str, title: str, detail: str = "", /, **members: Any) -> Response:
    """One problem document. `members` are extension members of RFC 9457; one that is named like a standard member is
    left out."""
    body = {"type": f"https://tillbook.invalid/problems/{code}", "title": title, "status": status, "code": code}
    if detail and detail != title:
        body["detail"] = detail
    response = jsonify({**members, **body})
    response.status_code = status
    response.content_type = CONTENT_TYPE
    wait = members.get("retry_after", 2 if status == 503 else None)
    if wait is not None:
        response.headers["Retry-After"] = str(wait)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def register(app: APIFlask) -> None:
    app.error_processor(_invalid)
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(RecursionError, _too_deep)
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(PoolTimeout, _database)
    app.register_error_handler(Exception, _defect)


def _problem(error: Problem) -> Response:
    return problem(error.status, error.code, error.title, error.detail, **error.members)


def _invalid(error: HTTPError) -> Response:
    """APIFlask's own errors: a body or query that does not fit its model, with one entry for each fault."""
    status = error.status_code
    members: dict[str, Any] = {}
    if isinstance(error.detail, dict):
        members["errors"] = [
            {"field": field if field != "_schema" else "", "in": place, "message": message}
            for place, fields in error.detail.items()
            for field, messages in _pairs(fields)
            for message in messages
        ]
    return problem(status, _HTTP_CODES.get(status, "invalid_request"), str(error.message), **members)


def _pairs(fields: Any) -> list[tuple[str, list[str]]]:
    return list(fields.items()) if isinstance(fields, dict) else [("", [str(fields)])]


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:
        return problem(404, "not_found", "There is no such thing, or it is not yours.")
    answer = problem(status, _HTTP_CODES.get(status, "http_error"), error.name)
    if status == 405 and isinstance(error.get_headers(), list):
        answer.headers.extend([pair for pair in error.get_headers() if pair[0].lower() == "allow"])
    return answer


def _too_deep(_: RecursionError) -> Response:
    return problem(400, "bad_request", "The document is nested too deeply.")


def _database(error: Exception) -> Response:
    _log.error("database_unavailable", path=request.path, error=type(error).__name__, exc_info=error)
    return problem(503, "database_unavailable", "Try again: repeating with the same Idempotency-Key is safe.")


def _defect(error: Exception) -> Response:
    _log.error("unexpected_error", path=request.path, exc_info=error)
    return problem(500, "internal_error", "An unexpected error; it has been logged.")
