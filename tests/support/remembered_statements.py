"""What SQLAlchemy compiles for a statement, remembered: each test has an engine of its own, for the same statements.

SQLAlchemy keeps compiled statements by engine, since two engines may speak to different servers. Here all engines of
one kind speak to one server, so they share what was compiled. That took a quarter of the tests' time (SQLAlchemy 2.1,
November 2026).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

MOST_STATEMENTS = 3000


class SharedStatements(LRUCache[Any, Any]):
    """Compiled statements by the kind of the dialect, where SQLAlchemy asks by the dialect itself."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_shared(key), default)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(_shared(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_shared(key), value)


def _shared(key: Any) -> Any:
    dialect, *rest = key
    return (type(dialect), *rest)


def remember() -> None:
    """From now on, in this process: every engine has the one cache, and whatever else it is given is not taken."""
    statements = SharedStatements(MOST_STATEMENTS)
    Engine._compiled_cache = property(lambda engine: statements, lambda engine, given: None)  # type: ignore[assignment]
