"""The models of requests and answers as schemas of the document, under plain names and without decoration."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

Schema = dict[str, Any]
Mode = Literal["validation", "serialization"]
SCHEMA_PLACE = "#/components/schemas/"
_ENDINGS = {"Out": "", "In": "Request"}
"""Of our models' names, and what callers read instead: `OrderOut` is `Order`, `OrderIn` is `OrderRequest`."""
_LISTS_OF_SCHEMAS = ("anyOf", "allOf", "oneOf", "prefixItems")
_SCHEMAS = ("items", "additionalProperties", "not", "contains")


def plain_name(name: str) -> str:
    """The name in the document of the model with this name."""
    for ending, instead in _ENDINGS.items():
        if name.endswith(ending) and name != ending:
            return name.removesuffix(ending) + instead
    return name


def reference(model: type[BaseModel]) -> Schema:
    return {"$ref": SCHEMA_PLACE + plain_name(model.__name__)}


def schemas_of(models: Iterable[tuple[type[BaseModel], Mode]]) -> dict[str, Schema]:
    """All those models and what they are made of, by name. Raises ValueError where two would have one name."""
    _, together = models_json_schema(list(dict.fromkeys(models)), ref_template=SCHEMA_PLACE + "{model}")
    found: dict[str, Schema] = {}
    for name, schema in together.get("$defs", {}).items():
        plain = plain_name(name)
        if not plain.isalnum() or plain in found:
            raise ValueError(f"two models are named {name.rpartition('__')[2]!r}: give one of them another name")
        found[plain] = _plain(schema)
    return {name: _without_defaults(schema, found) for name, schema in found.items()}


def parameter_schemas(model: type[BaseModel]) -> tuple[dict[str, Schema], frozenset[str]]:
    """The members of a model of a query, each as a schema, and the names of those that must be given."""
    made = model.model_json_schema(ref_template=SCHEMA_PLACE + "{model}")
    schema = _plain(made)
    members = {}
    for name, member in schema.get("properties", {}).items():
        value = _without_null(member)
        of = made.get("$defs", {}).get(value.get("$ref", "").removeprefix(SCHEMA_PLACE), {})
        members[name] = {key: of[key] for key in ("description", "examples") if key in of} | value
    return members, frozenset(schema.get("required", ()))


def _plain(schema: Schema) -> Schema:
    """Without titles, which say what the names say, and without `default: null`, which says what leaving out says.
    What is said of a value beside null is said of the member."""
    made = {key: value for key, value in schema.items() if key not in ("title", "$defs")}
    if made.get("default", "") is None:
        del made["default"]
    if "$ref" in made:
        made["$ref"] = SCHEMA_PLACE + plain_name(made["$ref"].removeprefix(SCHEMA_PLACE))
    if "mapping" in made.get("discriminator", {}):
        targets = made["discriminator"]["mapping"].items()
        mapping = {value: SCHEMA_PLACE + plain_name(target.removeprefix(SCHEMA_PLACE)) for value, target in targets}
        made["discriminator"] = made["discriminator"] | {"mapping": mapping}
    if "properties" in made:
        made["properties"] = {name: _plain(member) for name, member in made["properties"].items()}
    for key in _LISTS_OF_SCHEMAS:
        if key in made:
            made[key] = [_plain(each) for each in made[key]]
    for key in _SCHEMAS:
        if isinstance(made.get(key), dict):
            made[key] = _plain(made[key])
    if len(made.get("patternProperties", {})) == 1:  # of a dict: generators of clients know the two others
        [(pattern, value)] = made.pop("patternProperties").items()
        made["propertyNames"] = {"pattern": pattern}
        made["additionalProperties"] = _plain(value)
    return _said_outside(made)


def _without_defaults(schema: Schema, schemas: dict[str, Schema]) -> Schema:
    """Defaults of members in words. A generator of types takes a member that has a default for one that is always
    there, in a request as well (openapi-typescript 7, 2026-11)."""
    for member in schema.get("properties", {}).values():
        default = member.pop("default", None)
        if default not in (None, "", {}):
            said = schemas.get(member.get("$ref", "").removeprefix(SCHEMA_PLACE), {}) | member
            words = f"{said.get('description', '')} Not given: `{json.dumps(default).strip(chr(34))}`."
            member["description"] = words.strip()
    return schema


def _said_outside(schema: Schema) -> Schema:
    branches = schema.get("anyOf", [])
    if {"type": "null"} not in branches:
        return schema
    said: Schema = {}
    for branch in branches:
        for key in ("description", "examples"):
            if key in branch:
                said[key] = branch.pop(key)
    return said | schema


def _without_null(schema: Schema) -> Schema:
    """A query has no null: what has no value is left out."""
    branches = [branch for branch in schema.get("anyOf", []) if branch != {"type": "null"}]
    if len(branches) != 1:
        return schema
    value: Schema = branches[0]
    return value | {key: said for key, said in schema.items() if key != "anyOf"}
