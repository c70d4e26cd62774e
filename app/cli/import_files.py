"""CSV files that an earlier system hands over: read line by line, and as often as an import needs."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import click

from app.domain.import_lines import BadLine, Cells
from app.services.intake.import_faults import MOST_IMPORTED, ImportFault

MOST_FAULTS = 1_000
"""Faulty lines that are named; a file with more of them is wrong in a way that these show."""
T = TypeVar("T")


@dataclass(frozen=True)
class ImportFile(Generic[T]):
    """A CSV file in UTF-8, with the names of its columns in the first line."""

    path: Path
    columns: Collection[str]
    needed: frozenset[str]
    read: Callable[[Cells], T]
    """Makes the cells of a line what it says. Raises BadLine."""

    def lines(self, faults: list[str] | None = None) -> Iterator[tuple[int, T]]:
        """The lines with their numbers in the file. A faulty line goes into `faults`, if there are to be any."""
        with self.path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restval="", strict=True)
            try:
                self._check_head(reader.fieldnames or [])
                for cells in reader:
                    try:
                        if None in cells:
                            raise BadLine("more cells than columns")
                        yield reader.line_num, self.read(cells)
                    except BadLine as error:
                        if faults is None:
                            raise self.refusal("the file changed while it was read") from None
                        faults.append(f"line {reader.line_num}: {error}")
            except (csv.Error, UnicodeDecodeError) as error:
                raise self.refusal(f"no CSV in UTF-8: {error}") from None

    def bare_lines(self) -> Iterator[T]:
        """The lines of a file that was checked."""
        return (line for _, line in self.lines())

    def refuse_faults(self, further: Callable[[Iterable[tuple[int, T]]], Iterable[str]] | None = None) -> int:
        """How many lines there are. Ends the command with all faults of the file, those that `further` finds in its
        good lines among them."""
        faults: list[str] = []
        count = 0

        def good() -> Iterator[tuple[int, T]]:
            nonlocal count
            for place, line in self.lines(faults):
                count += 1
                if count > MOST_IMPORTED:
                    raise self.refusal(f"more than {MOST_IMPORTED} lines: divide the file")
                yield place, line
                if len(faults) >= MOST_FAULTS:
                    return

        for fault in _none_of(good()) if further is None else further(good()):
            faults.append(fault)
            if len(faults) >= MOST_FAULTS:
                break
        if faults:
            more = " (and perhaps more)" if len(faults) >= MOST_FAULTS else ""
            raise self.refusal(f"nothing was booked{more}\n" + "\n".join(faults[:MOST_FAULTS]))
        return count

    def refusal(self, why: str) -> click.ClickException:
        return click.ClickException(f"{self.path}: {why}")

    def _check_head(self, names: Collection[str]) -> None:
        if len(set(names)) < len(names) or not self.needed <= set(names) <= set(self.columns):
            wanted = (
                f"the columns {', '.join(sorted(self.needed))}, and if you like others of {', '.join(self.columns)}"
            )
            raise self.refusal(f"the first line has to name {wanted}")


def _none_of(lines: Iterable[object]) -> Iterator[str]:
    """Read the lines, and find no further fault."""
    for _ in lines:
        yield from ()


def import_lines(
    table: ImportFile[T],
    only_check: bool,
    faults: Callable[[Iterable[tuple[int, T]]], Iterable[str]],
    take: Callable[[Iterable[T], Callable[[int], None]], tuple[int, int]],
    what: str,
) -> None:
    """Check the whole file, and take its lines over unless it is only to be checked."""
    count = table.refuse_faults(faults)
    if only_check:
        click.echo(f"{count} {what} can be imported; nothing was")
        return
    try:
        with click.progressbar(length=count, label="importing", file=sys.stderr) as bar:
            new, before = take(table.bare_lines(), bar.update)
    except ImportFault as error:
        raise table.refusal(str(error)) from None
    click.echo(f"imported: {new} {what}; imported before: {before}")
