"""What is wrong with settings, in sentences for the person who writes them: which one, why, and what to write.

No value is quoted, since a value may be a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

ALIKE = 0.6
"""How much alike two names must be (difflib's ratio) for one to be offered in place of the other."""
_OURS = "value_error"
_WORDS = {
    "missing": "is missing: write it",
    "string_type": "must be a text, in quotes",
    "string_unicode": "must be a text in UTF-8",
    "string_pattern_mismatch": "is not written as it must be: as a regular expression, {pattern}",
    "string_too_short": "is too short: write {min_length} characters or more",
    "string_too_long": "is too long: write {max_length} characters at most",
    "too_short": "has too few entries: write {min_length} or more",
    "too_long": "has too many entries: write {max_length} at most",
    "greater_than": "is too small: write a number above {gt}",
    "greater_than_equal": "is too small: write {ge} or more",
    "less_than": "is too large: write a number below {lt}",
    "less_than_equal": "is too large: write {le} or less",
    "literal_error": "is none of the words that are known: write {expected}",
    "enum": "is none of the words that are known: write {expected}",
    "json_invalid": "is not JSON",
}
_KINDS = {
    "int": "must be a whole number, without quotes",
    "float": "must be a number, without quotes",
    "bool": "must be true or false, without quotes",
    "dict": "must be a table of names and values, as under [name]",
    "model": "must be a table of names and values, as under [name]",
    "mapping": "must be a table of names and values, as under [name]",
    "list": 'must be a list, as ["a", "b"]',
    "set": 'must be a list, as ["a", "b"]',
    "frozen_set": 'must be a list, as ["a", "b"]',
    "tuple": 'must be a list, as ["a", "b"]',
    "datetime": "must be a time with its zone, as 2026-03-01T00:00:00Z",
    "timezone": "must be a time with its zone, as 2026-03-01T00:00:00Z",
    "finite": "must be a number, and a finite one",
    "string": "must be a text, in quotes",
}
"""By the first word of pydantic's name for the fault, where `_WORDS` has no sentence for it."""


def sentences(error: ValidationError, model: type[BaseModel], *, whole: str = "settings") -> list[str]:
    """One for each fault: the setting with the tables that it is in, and what is wrong with it.

    `whole` stands for the setting where a fault is in no single one.
    """
    faults = error.errors(include_input=False, include_url=False)
    return [f"{'.'.join(map(str, fault['loc'])) or whole}: {_why(fault, model)}" for fault in faults]


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'order_minutes'?)`, or nothing if no known name is like it."""
    found = difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=ALIKE)
    return f" (did you mean {found[0]!r}?)" if found else ""


def names_in(model: type[BaseModel]) -> set[str]:
    """The names of all settings in the model and in the tables inside."""
    return set(_names(model.model_json_schema()))


def _names(schema: object) -> Iterable[str]:
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            yield from properties
        for part in schema.values():
            yield from _names(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _names(part)


def _why(fault: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = fault["type"], _context(fault)
    if kind == "extra_forbidden":
        return f"there is no such setting{nearest(str(fault['loc'][-1]), names_in(model))}"
    if kind in _WORDS:
        return _WORDS[kind].format_map(context)
    if kind == _OURS and "error" in context:
        return str(context["error"])
    if kind not in get_args(ErrorType):  # a plugin's own kind of fault, with the plugin's own words
        return fault["msg"]
    return _KINDS.get(kind.partition("_")[0], _KINDS.get("_".join(kind.split("_")[:2]), "cannot be used as it is"))


def _context(fault: ErrorDetails) -> dict[str, Any]:
    return dict(fault.get("ctx", {}))
