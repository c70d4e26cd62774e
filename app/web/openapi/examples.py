"""An example of each schema, put together from the examples of its members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.web.openapi.components import SCHEMA_PLACE, Schema

_OF_TYPE: Mapping[str, Any] = {"string": "text", "integer": 1, "number": 1, "boolean": True, "object": {}, "null": None}
"""Where a member has no example of its own. The tests ask for one."""


def example_of(schema: Schema, schemas: Mapping[str, Schema], *, whole: bool) -> Any:
    """A value that the schema allows. `whole`: with every member; otherwise with those that must be there."""
    said = [*schema.get("examples", []), *(schema[key] for key in ("const", "default") if key in schema)]
    if said or "enum" in schema:
        return [*said, *schema.get("enum", [])][0]
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].removeprefix(SCHEMA_PLACE)], schemas, whole=whole)
    if "allOf" in schema:
        parts = [example_of(part, schemas, whole=whole) for part in schema["allOf"]]
        return {name: value for part in parts for name, value in part.items()}
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        return example_of(branches[0], schemas, whole=whole)
    return _by_type(schema, schemas, whole=whole)


def _by_type(schema: Schema, schemas: Mapping[str, Schema], *, whole: bool) -> Any:
    if schema.get("type") == "object" and "properties" in schema:
        required = schema.get("required", ())
        return {
            name: example_of(member, schemas, whole=whole)
            for name, member in schema["properties"].items()
            if whole or name in required
        }
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas, whole=whole)]
    return _OF_TYPE.get(schema.get("type", ""))
