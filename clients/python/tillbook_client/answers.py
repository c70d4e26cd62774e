"""What came of an operation: the model that was expected, or the problem document as an exception."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from tillbook_client.generated.models import Problem
from tillbook_client.generated.types import Response

T = TypeVar("T")
UNEXPECTED = "unexpected"
"""The code of a refusal that is none of Tillbook's."""
NO_CONTENT = 204
_OF_A_PROBLEM = {"type": str, "title": str, "status": int, "code": str}


class Refused(Exception):
    """The service refused. `code` is stable, and what programs go by."""

    def __init__(self, status: int, code: str, problem: Problem | None) -> None:
        super().__init__(f"{status} {code}" + (f": {problem.title}" if problem else ""))
        self.status = status
        self.code = code
        self.problem = problem


def is_of_tillbook(status: int, content_type: str, content: bytes) -> bool:
    """Whether the service can have answered that: a document, a problem document, a CSV file, or nothing with 204. A
    page of a proxy, a redirection and half a document are something else."""
    if status == NO_CONTENT:
        return True
    is_good = 200 <= status < 300
    if is_good and content_type.startswith("text/csv"):
        return True
    try:
        document = json.loads(content)
    except ValueError:
        return False
    if not isinstance(document, dict):
        return False
    named = all(isinstance(document.get(name), kind) for name, kind in _OF_A_PROBLEM.items())
    return is_good or (status >= 400 and named)


def expect(kind: type[T], response: Response[Any]) -> T:
    """The answer, which is of that kind. Raises Refused for any other: a problem document, or something that is no
    answer of Tillbook's (then the code is `unexpected`)."""
    parsed = response.parsed
    if 200 <= int(response.status_code) < 300 and isinstance(parsed, kind):
        return parsed
    raise _refused(response)


def expect_nothing(response: Response[Any]) -> None:
    """An operation that answers without a document has done what it does. Raises Refused like `expect`."""
    if int(response.status_code) != NO_CONTENT:
        raise _refused(response)


def _refused(response: Response[Any]) -> Refused:
    problem = response.parsed if isinstance(response.parsed, Problem) else _problem_in(response.content)
    return Refused(int(response.status_code), problem.code if problem else UNEXPECTED, problem)


def _problem_in(content: bytes) -> Problem | None:
    """The problem document of a status that the generated part does not know: a newer service may have more."""
    try:
        return Problem.from_dict(json.loads(content))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
