"""Flask's JSON, read in one way only: no name twice in an object, no NaN, no Infinity."""

from __future__ import annotations

from typing import Any

from flask import abort, request
from flask.json.provider import DefaultJSONProvider

from app.providers.strict_json import no_constant, unique_members
from app.web.model_json import WrittenJson


class StrictJson(DefaultJSONProvider):
    """Flask's own JSON, refusing what two readers could read differently. The refusal is a ValueError, so a 400."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return super().loads(s, object_pairs_hook=unique_members, parse_constant=no_constant, **kwargs)

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return obj.text if isinstance(obj, WrittenJson) else super().dumps(obj, **kwargs)


def refuse_other_content() -> None:
    """A body for the API is JSON and says so: what a web form of another site can send is refused."""
    if request.path.startswith("/v1/") and request.content_length and not request.is_json:
        abort(415)
