"""`tillbook owners`: by which tokens an earlier system named users to a store."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from app.cli.house import house
from app.cli.import_files import ImportFile, import_lines
from app.domain.imported_agreements import OWNER_COLUMNS, owner_line
from app.services.intake.imported_owners import faults_of_owners, import_owners


@click.group()
def owners() -> None:
    """By which tokens an earlier system named users to a store."""


@owners.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", "only_check", is_flag=True, help="Check the whole file, and write nothing.")
def import_owner_file(file: Path, only_check: bool) -> None:
    """Take over the tokens of an earlier system, from a CSV FILE (UTF-8, the names of the columns in the first line):
    provider_account, token (a UUID), user.

    What the store tells of such a token is then that user's. Repeat the command after any interruption.
    """
    core = house().core
    table = ImportFile(file, OWNER_COLUMNS, frozenset(OWNER_COLUMNS), owner_line)
    import_lines(table, only_check, partial(faults_of_owners, core), partial(import_owners, core), "tokens")
