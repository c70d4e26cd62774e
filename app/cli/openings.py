"""`tillbook wallets import`: what users had before the service kept their wallets."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click

from app.cli.house import house
from app.cli.import_files import ImportFile
from app.domain.opening import COLUMNS, NEEDED, opening_line
from app.services.accounts.declared_assets import DeclaredAssets, UnknownAsset
from app.services.ledger.openings import OpeningRefused, book_lines, check_lines


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
    table = ImportFile(file, COLUMNS, NEEDED, partial(opening_line, now=now))
    try:
        table.refuse_faults()
        DeclaredAssets(core).check({line.asset for line in table.bare_lines()})
        count = check_lines(core, table.bare_lines())
        if only_check:
            click.echo(f"{count} lines can be booked; nothing was")
            return
        with click.progressbar(length=count, label="booking", file=sys.stderr) as bar:
            booked, before = book_lines(core, table.bare_lines(), f"operator:{actor}", bar.update)
    except UnknownAsset as error:
        raise table.refusal(f"no product grants the asset {error.members['asset']!r}") from None
    except OpeningRefused as error:
        raise table.refusal(str(error)) from None
    click.echo(f"booked: {booked} lines; booked before: {before}")
