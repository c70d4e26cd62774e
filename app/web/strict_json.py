"""Flask's JSON, read in one way only: no name twice in an object, no NaN, no Infinity."""

from __future__ import annotations

from typing import Any

from flask.json.provider import DefaultJSONProvider

from app.providers.strict_json import no_constant, unique_members


class StrictJson(DefaultJSONProvider):
    """Flask's own JSON, refusing what two readers could read differently. The refusal is a ValueError, so a 400."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return super().loads(s, object_pairs_hook=unique_members, parse_constant=no_constant, **kwargs)
