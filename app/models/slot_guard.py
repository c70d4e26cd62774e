"""Refuses SQL on user data that does not name the slot. Tests install it on every engine they make.

A statement without a slot works on one database and silently visits every shard of a partitioned one. Sweeps over all
slots are allowed by name: they start with a comment from SWEEPS (`select(...).prefix_with(sweep("due_payments"))`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, event, text

SLOTTED = frozenset(
    {
        "users",
        "orders",
        "payments",
        "facts",
        "messages",
        "idempotency",
        "receipts",
        "asks",
        "reports",
        "accounts",
        "transfers",
        "grant_seals",
        "lots",
        "holds",
        "refunds",
        "freezes",
        "refusals",
        "marks",
        "provider_calls",
        "tellings",
        "interventions",
        "events",
        "deliveries",
        "fulfilments",
        "gifts",
        "gift_parts",
        "gift_arrivals",
        "recalls",
        "recall_answers",
        "agreements",
        "agreement_periods",
    }
)
SWEEPS = frozenset(
    {
        "due_payments",
        "due_receipts",
        "due_reports",
        "due_asks",
        "due_gifts",
        "due_fulfilments",
        "due_agreements",
        "named_by_provider",
        "search",
        "old_messages",
        "old_asks",
        "old_calls",
        "audit",
        "report",
        "due_ledger",
        "operator",
        "checkpoint",
        "events",
        "deliveries",
        "lists",
    }
)
TEXTS_REMEMBERED = 4096
"""Statements that were read are remembered by their text: the service has some hundred of them."""
_TABLE = re.compile(r'\b(?:from|join|into|update)\s+(?:only\s+)?"?([a-z_]+)"?', re.IGNORECASE)
_SLOT_TEST = re.compile(r"\bslot\s*(?:=|in\b)", re.IGNORECASE)
_SWEEP = re.compile(r"/\* sweep: ([a-z_]+) \*/")


class SlotMissing(AssertionError):
    """A statement touches user data without naming the slot."""


def sweep(name: str) -> TextClause:
    """The comment that marks a statement as a deliberate sweep over all slots."""
    if name not in SWEEPS:
        raise ValueError(f"no such sweep: {name}")
    return text(f"/* sweep: {name} */")


@lru_cache(TEXTS_REMEMBERED)
def check_statement(statement: str) -> None:
    """Raise SlotMissing unless the statement names the slot, is a named sweep, or touches no user data."""
    if not tables_of(statement) & SLOTTED or is_schema(statement) or is_sweep(statement):
        return
    if statement.lstrip().upper().startswith("INSERT"):
        named = re.search(r"\(\s*[^)]*\bslot\b", statement, re.IGNORECASE) is not None
    else:
        named = _SLOT_TEST.search(statement) is not None
    if not named:
        raise SlotMissing(f"no slot in: {statement[:300]}")


def tables_of(statement: str) -> set[str]:
    """The tables that the statement reads or writes."""
    return set(_TABLE.findall(statement.lower()))


def is_sweep(statement: str) -> bool:
    """Whether it is one of the sweeps over all slots that have a name."""
    marked = _SWEEP.search(statement)
    return marked is not None and marked.group(1) in SWEEPS


def install(engine: Engine) -> None:
    """Check every statement of this engine before it is sent."""

    def before(_c: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        check_statement(statement)

    event.listen(engine, "before_cursor_execute", before)


def is_schema(statement: str) -> bool:
    """Whether it is about tables, and not about rows."""
    return statement.lstrip().split(None, 1)[0].upper() in {"CREATE", "ALTER", "DROP", "PRAGMA", "COMMENT", "TRUNCATE"}
