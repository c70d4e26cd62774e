"""What werkzeug makes of a route, remembered: each test builds applications of its own, from the same routes.

For each route werkzeug reads the pattern, and writes and compiles two functions that build its URLs. That took nine
tenths of the time of building an application, and a fifth of the tests' (werkzeug 3.1, November 2026). None of that
knows anything of the application, as long as it has the usual converters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Map, Rule

MADE = ("_parts", "_trace", "_converters", "arguments", "_build", "_build_unknown")
"""What a route has after `Rule.compile`. The two functions are bound to their route: of them the bare ones are kept."""
BOUND = ("_build", "_build_unknown")


def remember() -> None:
    """From now on, in this process."""
    made: dict[Any, dict[str, Any]] = {}
    compile_anew: Callable[[Rule], None] = Rule.compile

    def compile_once(rule: Rule) -> None:
        assert rule.map is not None
        if rule.defaults or rule.map.converters != Map.default_converters:
            compile_anew(rule)
            return
        key = (rule.rule, rule.host if rule.map.host_matching else rule.subdomain, rule.merge_slashes)
        if key not in made:
            compile_anew(rule)
            made[key] = {name: getattr(rule, name) for name in MADE}
            made[key] |= {name: made[key][name].__func__ for name in BOUND}
        for name, value in made[key].items():
            setattr(rule, name, value.__get__(rule, None) if name in BOUND else value)

    Rule.compile = compile_once  # type: ignore[method-assign]
