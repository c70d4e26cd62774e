"""How the commands that list something are asked, and how they write what they found: a line each, or CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import click

from app.cli.house import end_as_whole, given_moment
from app.domain.csv_text import csv_line
from app.services.base.list_pages import ListPage, ListPlace, TimeSpan

LIST_ROWS_AT_ONCE = 1000
"""So many rows are read, and in memory, at a time."""
LINES = 100
"""So many are listed if no number is given; a CSV file has all."""
ListRow = TypeVar("ListRow")
Command = TypeVar("Command", bound=Callable[..., Any])
Table = tuple[tuple[str, ...], Callable[[ListRow], Iterable[Any]]]
"""The columns of a CSV file, and what a row has in them."""


def list_options(command: Command) -> Command:
    """The options `--limit` and `--csv`."""
    command = click.option("--limit", type=click.IntRange(1), help=f"{LINES} if not given; with --csv, all.")(command)
    return click.option("--csv", "as_csv", is_flag=True, help="As CSV with a line of names (docs/api.md).")(command)


def time_options(command: Command) -> Command:
    """The options `--since` and `--until`."""
    command = click.option("--until", metavar="ISO-TIME", help="Made before that moment.")(command)
    return click.option("--since", metavar="ISO-TIME", help="Made then or later: 2026-03-01T00:00:00Z.")(command)


def span_of(since: str | None, until: str | None) -> TimeSpan:
    """Raises click's error for what is no time."""
    return TimeSpan(None if since is None else given_moment(since), None if until is None else given_moment(until))


def write_list(
    read: Callable[[ListPlace | None, int], ListPage[ListRow]],
    limit: int | None,
    line: Callable[[ListRow], str],
    table: Table[ListRow] | None,
) -> None:
    """Write the rows, each as its `line`; or as CSV, where there is a table."""
    if table is None:
        for row in rows_of(read, limit or LINES):
            click.echo(line(row))
        return
    columns, entry = table
    click.echo(csv_line(columns, end="\n"), nl=False)
    for row in rows_of(read, limit):
        click.echo(csv_line(entry(row), end="\n"), nl=False)


def rows_of(read: Callable[[ListPlace | None, int], ListPage[ListRow]], limit: int | None) -> Iterator[ListRow]:
    """The first `limit` rows, or all. Behind the last of them the command ends, if a database was missing from a page:
    `end_as_whole` says so."""
    place: ListPlace | None = None
    missing: set[str] = set()
    left = limit
    while True:
        page = read(place, LIST_ROWS_AT_ONCE if left is None else min(left, LIST_ROWS_AT_ONCE))
        yield from page.rows
        missing.update(page.missing)
        place = page.next
        if left is not None:
            left -= len(page.rows)
        if place is None or left == 0:
            return end_as_whole(missing)
