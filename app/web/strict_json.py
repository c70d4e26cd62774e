"""Flask's JSON, read in one way only: no name twice in an object, no NaN, no Infinity."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask import abort, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.sansio.response import Response

from app.providers.strict_json import LARGEST_EXPONENT, no_constant, unique_members
from app.web.model_json import WrittenJson


class StrictJson(DefaultJSONProvider):
    """Flask's own JSON, refusing what two readers could read differently. The refusal is a ValueError, so a 400."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return super().loads(
            s, object_pairs_hook=unique_members, parse_constant=no_constant, parse_float=_number, **kwargs
        )

    def response(self, *args: Any, **kwargs: Any) -> Response:
        if args and isinstance(args[0], WrittenJson):
            return self._app.response_class(f"{args[0]}\n", mimetype=self.mimetype)
        return super().response(*args, **kwargs)


def _number(text: str) -> int | float:
    """A number with a fraction or an exponent. `25.0` and `1e3` are whole numbers in JSON, as JSON Schema reads it, and
    are read exactly: no float comes near an amount."""
    number = Decimal(text)
    if abs(number.adjusted()) <= LARGEST_EXPONENT and number == number.to_integral_value():
        return int(number)
    return float(text)


def refuse_other_content() -> None:
    """A body for the API is JSON and says so: what a web form of another site can send is refused."""
    length = request.environ.get("CONTENT_LENGTH", "0")  # most requests have no body, and are looked at no further
    if length != "0" and request.path.startswith("/v1/") and request.content_length and not request.is_json:
        abort(415)
