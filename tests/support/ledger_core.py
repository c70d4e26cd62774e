"""A service with books and nothing else: no provider, a clock that stands still."""

from __future__ import annotations

from datetime import datetime

from app.domain.limits import LedgerRules
from app.domain.numbers import NumberSource
from app.providers.registry import Registry
from app.providers.testing.doubles import FixedClock
from app.services.base.context import Core, Place, Rules
from app.services.base.databases import OneDatabase
from app.services.base.transaction import Sessions


def ledger_core(sessions: Sessions, now: datetime, rules: LedgerRules | None = None) -> Core:
    return Core(
        databases=OneDatabase(sessions),
        registry=Registry({}),
        numbers=NumberSource(lambda: int(now.timestamp() * 1000)),
        clock=FixedClock(now),
        rules=Rules(ledger=rules or LedgerRules()),
    )


def books_at(sessions: Sessions, now: datetime, rules: LedgerRules | None = None) -> Place:
    """The database of that service: its transactions have this time and these rules."""
    return ledger_core(sessions, now, rules).whole
