"""What came of an operation: the model that was expected, or the problem document as an exception."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from tillbook_client.generated.models import Problem
from tillbook_client.generated.types import Response

T = TypeVar("T")


class Refused(Exception):
    """The service refused. `code` is stable, and what programs go by."""

    def __init__(self, status: int, code: str, problem: Problem | None) -> None:
        super().__init__(f"{status} {code}" + (f": {problem.title}" if problem else ""))
        self.status = status
        self.code = code
        self.problem = problem


def expect(kind: type[T], response: Response[Any]) -> T:
    """The answer, which is of that kind. Raises Refused for any other: a problem document, or something that is no
    answer of Tillbook's (then the code is `unexpected`)."""
    parsed = response.parsed
    if isinstance(parsed, kind):
        return parsed
    problem = parsed if isinstance(parsed, Problem) else _problem_in(response.content)
    raise Refused(int(response.status_code), problem.code if problem else "unexpected", problem)


def _problem_in(content: bytes) -> Problem | None:
    """The problem document of a status that the generated part does not know: a newer service may have more."""
    try:
        return Problem.from_dict(json.loads(content))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
