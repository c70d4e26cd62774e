"""How a row of a service looks on a page: which text each of its columns has, and where it leads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import url_for

from app.console.wording import say
from app.domain.grants import shortened
from app.domain.report_tables import Amount
from app.web.context import core

_CURRENCY_OF = {
    "amount_minor": "currency",
    "value_minor": "currency",
    "undone_minor": "currency",
    "ours_minor": "ours_currency",
    "theirs_minor": "theirs_currency",
}
"""The column with the currency of a column of money."""
_NUMBERS = frozenset({"amount", "balance", "left", "granted", "held", "available", "captured", "rest", "quantity"})
_PLACES = ("user", "order", "agreement")
"""What an entry may say of the page that it leads to."""
LABELS = {
    **{"amount_minor": "Amount", "value_minor": "Price", "undone_minor": "Undone", "ours_minor": "Our amount"},
    **{"theirs_minor": "Their amount", "theirs": "Their number", "ours": "Our number", "id": "Number"},
    **{"provider_account": "Provider account", "created_at": "Created", "paid_at": "Paid at", "expires_at": "Expires"},
    **{"done_at": "Done", "ended_at": "Ended", "ended_by": "Ended by", "at": "Time", "starts_at": "Begins"},
    **{"ends_at": "Ends", "next_try_at": "Next try", "next_charge_at": "Next charge", "paid_until": "Paid until"},
    **{"received_at": "Received", "recorded_at": "Recorded", "opened_at": "Opened", "paused_at": "Paused"},
    **{"written_off_by": "Written off by", "changed_at": "Changed", "closed_at": "Closed", "queries": "Times asked"},
    **{"way": "Way of paying", "rest": "Still held", "remedy": "What can be done"},
    **{"url": "Address", "owner": "Who cares for it"},
}
"""What a column is called, where that is not its name."""


@dataclass(frozen=True, slots=True)
class ShownCell:
    text: str
    link: str | None = None
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table of a page. `further` leads to its next rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[ShownCell]]
    further: str | None = None


def table_of(
    title: str,
    columns: Sequence[str],
    entries: Iterable[Any],
    *,
    leads_to: Callable[[Any], str | None] = lambda entry: None,
    further: str | None = None,
) -> ShownTable:
    """Entries are mappings, or have the columns as fields. `leads_to` gives the page that the first column leads to."""
    rows = []
    for entry in entries:
        named = entry if isinstance(entry, Mapping) else _named(columns, entry)
        cells = [_cell(name, named) for name in columns]
        cells[0] = ShownCell(cells[0].text, leads_to(named) or cells[0].link, cells[0].is_number)
        rows.append(cells)
    return ShownTable(say(title), [label(name) for name in columns], rows, further)


def _named(columns: Sequence[str], entry: Any) -> dict[str, Any]:
    names = {*columns, *(_CURRENCY_OF[name] for name in columns if name in _CURRENCY_OF), *_PLACES}
    return {name: getattr(entry, name) for name in names if hasattr(entry, name)}


def label(column: str) -> str:
    """What a column is called on a page."""
    return say(LABELS.get(column, column.replace("_", " ").capitalize()))


def shown_text(value: Any) -> str:
    """A value as people read it: moments in the configured zone, to the second."""
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    if isinstance(value, datetime):
        return f"{value.astimezone(core().rules.ledger.zone):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, Amount):
        return value.written()
    if isinstance(value, list | tuple):
        return ", ".join(map(shown_text, value))
    return "" if value is None else str(value)


def _cell(name: str, entry: Mapping[str, Any]) -> ShownCell:
    value = entry.get(name)
    if name in _CURRENCY_OF:
        currency = entry.get(_CURRENCY_OF[name])
        money = None if value is None or not currency else Amount(int(value), str(currency))
        return ShownCell(shown_text(money), is_number=True)
    if name == "grants":
        return ShownCell(shown_text(shortened(value or ())))
    link = _link(name, value)
    return ShownCell(shown_text(value), link, name in _NUMBERS)


def _link(name: str, value: Any) -> str | None:
    if not value:
        return None
    if name == "order":
        return url_for("console.show_order_page", number=value)
    if name == "agreement":
        return url_for("console.show_agreement_page", number=value)
    if name == "user":
        return url_for("console.show_user", user=value)
    return None
