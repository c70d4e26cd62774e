"""`tillbook wallets import`: what users had before the service kept their wallets."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from app.cli.house import house
from app.domain.opening import COLUMNS, NEEDED, BadLine, OpeningLine, opening_line
from app.services.accounts.declared_assets import DeclaredAssets, UnknownAsset
from app.services.ledger.openings import OpeningRefused, book_lines, check_lines

MOST_FAULTS = 20
"""Faulty lines that are named; a file with more of them is wrong in a way that these show."""


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--actor", required=True, help="Who you are. Give the same name when you repeat an import.")
@click.option("--check", "only_check", is_flag=True, help="Check the whole file, and book nothing.")
def import_wallets(file: Path, actor: str, only_check: bool) -> None:
    """Book what users had before, from a CSV FILE (UTF-8, the names of the columns in the first line).

    Columns: id, user, asset, amount, bonus (true or false), and where you have them value (what was paid for these
    coins: "6.00"), currency, product, expires_at (ISO 8601 with a time zone), environment (live if empty). A line for
    each lot.

    The whole file is checked before anything is booked. A line is booked once, under its id: repeat the command after
    any interruption.
    """
    core = house().core
    now = core.clock.now()
    try:
        _refuse_faults(file, now)
        DeclaredAssets(core).check({line.asset for _, line in _lines(file, now)})
        count = check_lines(core, (line for _, line in _lines(file, now)))
        if only_check:
            click.echo(f"{count} lines can be booked; nothing was")
            return
        lines = (line for _, line in _lines(file, now))
        with click.progressbar(length=count, label="booking", file=sys.stderr) as bar:
            booked, before = book_lines(core, lines, f"operator:{actor}", bar.update)
    except UnknownAsset as error:
        raise click.ClickException(f"{file}: no product grants the asset {error.members['asset']!r}") from None
    except OpeningRefused as error:
        raise click.ClickException(f"{file}: {error}") from None
    click.echo(f"booked: {booked} lines; booked before: {before}")


def _refuse_faults(file: Path, now: datetime) -> None:
    faults: list[str] = []
    for _ in _lines(file, now, faults):
        if len(faults) >= MOST_FAULTS:
            break
    if faults:
        more = " (and perhaps more)" if len(faults) >= MOST_FAULTS else ""
        raise click.ClickException(f"{file}: nothing was booked{more}\n" + "\n".join(faults[:MOST_FAULTS]))


def _lines(file: Path, now: datetime, faults: list[str] | None = None) -> Iterator[tuple[int, OpeningLine]]:
    """The lines with their numbers in the file. A faulty line goes into `faults`, if there are to be any."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, restval="", strict=True)
        try:
            names = reader.fieldnames or []
            if len(set(names)) < len(names) or not NEEDED <= set(names) <= set(COLUMNS):
                wanted = f"the columns {', '.join(sorted(NEEDED))}, and if you like others of {', '.join(COLUMNS)}"
                raise click.ClickException(f"{file}: the first line has to name {wanted}")
            for cells in reader:
                try:
                    if None in cells:
                        raise BadLine("more cells than columns")
                    yield reader.line_num, opening_line(cells, now)
                except BadLine as error:
                    if faults is None:
                        raise click.ClickException(f"{file}: the file changed while it was read") from None
                    faults.append(f"line {reader.line_num}: {error}")
        except (csv.Error, UnicodeDecodeError) as error:
            raise click.ClickException(f"{file}: no CSV in UTF-8: {error}") from None
