"""JSON that can be read in one way only: no name twice in an object, no NaN, no Infinity."""

from __future__ import annotations

from typing import Any, NoReturn

from flask import abort, request
from flask.json.provider import DefaultJSONProvider


class StrictJson(DefaultJSONProvider):
    """Flask's own JSON, refusing what two readers could read differently. The refusal is a ValueError, so a 400."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return super().loads(s, object_pairs_hook=_unique, parse_constant=_no_constant, **kwargs)


def refuse_other_content() -> None:
    """A body for the API is JSON and says so: what a web form of another site can send is refused."""
    if request.path.startswith("/v1/") and request.content_length and not request.is_json:
        abort(415)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is repeated")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"not a number: {name}")
