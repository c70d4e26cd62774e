"""An example of each schema, put together from the examples of its members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.web.openapi.components import PLACE, Schema


class NoExample(LookupError):
    """The text says which member has no example."""


def example_of(schema: Schema, schemas: Mapping[str, Schema], *, whole: bool, path: str = "") -> Any:
    """A value that the schema allows. `whole`: with every member; otherwise with those that must be there."""
    if schema.get("examples"):
        return schema["examples"][0]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(PLACE)
        return example_of(schemas[name], schemas, whole=whole, path=path or name)
    if "allOf" in schema:
        parts = [example_of(part, schemas, whole=whole, path=path) for part in schema["allOf"]]
        return {name: value for part in parts for name, value in part.items()}
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        return example_of(branches[0], schemas, whole=whole, path=path)
    return _by_type(schema, schemas, whole=whole, path=path)


def _by_type(schema: Schema, schemas: Mapping[str, Schema], *, whole: bool, path: str) -> Any:
    if schema.get("type") == "object" and "properties" in schema:
        required = schema.get("required", ())
        return {
            name: example_of(member, schemas, whole=whole, path=f"{path}.{name}")
            for name, member in schema["properties"].items()
            if whole or name in required
        }
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas, whole=whole, path=f"{path}[]")]
    raise NoExample(f"{path} has no example: give its Field `examples=[…]`")
