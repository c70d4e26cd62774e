"""What werkzeug compiles for a route, remembered: each test builds applications of its own, from the same routes.

For each route werkzeug writes and compiles two functions, which build its URLs. That took four fifths of the time of
building an application, and a fifth of the tests' (werkzeug 3.1, November 2026). The functions know nothing of the
application: the route is their first parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

Builder = Callable[..., tuple[str, str]]


def remember() -> None:
    """From now on, in this process."""
    compiled: dict[Any, Builder] = {}
    compile_anew: Callable[[Rule, bool], Builder] = Rule._compile_builder

    def compile_once(rule: Rule, append_unknown: bool = True) -> Builder:
        if rule.defaults:
            return compile_anew(rule, append_unknown)
        key = (rule.rule, tuple(rule._trace), append_unknown)
        if key not in compiled:
            compiled[key] = compile_anew(rule, append_unknown)
        return compiled[key]

    Rule._compile_builder = compile_once  # type: ignore[method-assign, assignment]
