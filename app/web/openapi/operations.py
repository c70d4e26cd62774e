"""One operation of the document: what is said of a view, by its docstring, its models, its scopes and its codes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apiflask import APIBlueprint, APIFlask
from pydantic import BaseModel
from werkzeug.routing import Rule

from app.web.access import USER_SCOPES, scopes_of
from app.web.openapi.codes import CODES
from app.web.openapi.components import Mode, Schema, reference
from app.web.openapi.examples import example_of
from app.web.openapi.header_fields import headers_of
from app.web.openapi.links import links_of
from app.web.openapi.parameters import ACTOR, IDEMPOTENCY_KEY, REQUEST_ID_PARAMETER, path_parameters, query_parameters
from app.web.openapi.problems import EVERYWHERE, WITH_BODY, WITH_QUERY, problem_responses

PREFIX = "/v1/"
_VERBS = {"show": "read"}
"""Verbs of views that callers know by another one."""
KEY_MISSING = "idempotency_key_missing"
NO_CONTENT = 204
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    rule: Rule
    method: str
    view: Callable[..., Any]
    tag: str

    @property
    def path(self) -> str:
        return re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", str(self.rule.rule))

    @property
    def id(self) -> str:
        """The name of the view in camel case; its first word is the verb."""
        verb, *words = str(self.rule.endpoint).rpartition(".")[2].split("_")
        return _VERBS.get(verb, verb) + "".join(word.capitalize() for word in words)

    @property
    def view_name(self) -> str:
        """The view as CODES names it."""
        return f"{self.view.__module__}.{self.view.__name__}"

    @property
    def body(self) -> type[BaseModel] | None:
        found: type[BaseModel] | None = self._said.get("body")
        return found

    @property
    def queries(self) -> list[type[BaseModel]]:
        return [model for model, place in self._said.get("args", []) if place == "query"]

    @property
    def answer(self) -> type[BaseModel] | None:
        """The model of the answer in JSON; None where there is none."""
        model = self._said.get("response", {}).get("schema")
        return model if isinstance(model, type) and issubclass(model, BaseModel) else None

    @property
    def codes(self) -> frozenset[str]:
        """Every code that the operation may refuse with."""
        codes = {*EVERYWHERE, *CODES.get(self.view_name, ())}
        codes.update(WITH_BODY if self.body else ())
        codes.update(WITH_QUERY if self.queries else ())
        return frozenset(codes)

    def models(self) -> Iterator[tuple[type[BaseModel], Mode]]:
        if self.body is not None:
            yield self.body, "validation"
        for query in self.queries:
            yield query, "validation"
        if self.answer is not None:
            yield self.answer, "serialization"

    def described(self, schemas: Mapping[str, Schema]) -> dict[str, Any]:
        """The operation as the document shows it."""
        summary, _, rest = inspect.getdoc(self.view).partition("\n")  # type: ignore[union-attr]
        found: dict[str, Any] = {
            "operationId": self.id,
            "tags": [self.tag],
            "summary": summary.strip().removesuffix("."),
            "description": self._description(summary, rest),
            "security": self._security(),
            "parameters": self._parameters(),
        }
        if self.body is not None:
            content = _json(reference(self.body), schemas, whole=False)
            found["requestBody"] = {"required": True, "description": "What is wanted.", "content": content}
        found["responses"] = {**self._answers(schemas), **problem_responses(self.id, self.codes)}
        for status, answer in found["responses"].items():
            answer["headers"] = answer.get("headers", {}) | headers_of(int(status), for_users=self._is_for_users)
        return found

    @property
    def _said(self) -> dict[str, Any]:
        """What APIFlask's decorators have written down about the view."""
        said: dict[str, Any] = getattr(self.view, "_spec", {})
        return said

    def _description(self, summary: str, rest: str) -> str:
        groups = [" or ".join(f"`{scope}`" for scope in group) for group in scopes_of(self.view)]
        needs = f"Needs the scope{'s' if len(groups) > 1 else ''} {' and '.join(groups)}."
        return "\n\n".join(part for part in (summary.strip(), rest.strip(), needs) if part)

    def _security(self) -> list[dict[str, list[str]]]:
        """A user's token opens what all users may do; a backend's key opens what its scopes say."""
        schemes = ("user", "backend") if self._is_for_users else ("backend",)
        return [{scheme: []} for scheme in schemes]

    @property
    def _is_for_users(self) -> bool:
        return all(not USER_SCOPES.isdisjoint(group) for group in scopes_of(self.view))

    def _parameters(self) -> list[dict[str, Any]]:
        found = [*path_parameters(self.rule)]
        for model in self.queries:
            found.extend(query_parameters(model))
        if KEY_MISSING in self.codes:
            found.append(IDEMPOTENCY_KEY)
        if self.method != "get":
            found.append(ACTOR)
        return [*found, REQUEST_ID_PARAMETER]

    def _answers(self, schemas: Mapping[str, Schema]) -> dict[str, Any]:
        """By status: what `output` says, and what `doc(responses=…)` says of other kinds of content."""
        said: Mapping[str, Any] = self._said.get("response", {})
        answers: dict[str, Any] = {}
        if self.answer is not None:
            content = _json(reference(self.answer), schemas, whole=True)
            answer = {"description": said["description"] or "Done.", "content": content}
            answers[str(said["status_code"])] = answer | ({"links": links} if (links := links_of(self.id)) else {})
        elif said.get("status_code") == NO_CONTENT:
            answers[str(NO_CONTENT)] = {"description": said["description"] or "Done."}
        for status, more in (self._said.get("responses") or {}).items():
            answer = answers.setdefault(str(status), {"description": "Done.", "content": {}})
            answer["content"].update(more.get("content", {}))
            answer.update({key: value for key, value in more.items() if key != "content"})
        return answers


def _json(schema: Schema, schemas: Mapping[str, Schema], *, whole: bool) -> dict[str, Any]:
    return {_JSON: {"schema": schema, "example": example_of(schema, schemas, whole=whole)}}


def operations_of(app: APIFlask) -> list[Operation]:
    """Every operation under /v1/, in the order of the paths."""
    found = []
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(PREFIX):
            continue
        blueprint = app.blueprints[rule.endpoint.rpartition(".")[0]]
        tag = blueprint.tag if isinstance(blueprint, APIBlueprint) else None
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            found.append(Operation(rule, method.lower(), app.view_functions[rule.endpoint], str(tag)))
    return sorted(found, key=lambda each: (each.path, each.method))
