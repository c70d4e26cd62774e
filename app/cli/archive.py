"""`tillbook archive`: takes the provider's words behind old facts into a file, and proves such a file."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click

from app.cli.house import house
from app.services.facts.archive import archive_words, drop_requests, wrong_in_archive

MOST_WRONG = 100
"""Lines of an archive that `archive prove` complains about at the most."""


@click.group()
def archive() -> None:
    """What nobody reads any more, taken out of old rows. What proves the rows stays whole."""


@archive.command("write")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--before", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Facts recorded before this day, UTC.")
def write_archive(file: Path, before: datetime) -> None:
    """Move the provider's words behind facts into a new file (gzip, a line of JSON for each).

    A fact keeps the SHA-256 of its words, so seals and anchors still fit. Requests for payments that had ended are
    dropped. Stopped anywhere, the command can be started again with another file.
    """
    core, moment = house().core, before.replace(tzinfo=UTC)
    if moment >= core.clock.now():
        raise click.UsageError("--before is a day that has come")
    with _appending(file) as keep:
        words = sum(archive_words(core, moment, keep))
    requests = sum(drop_requests(core, moment))
    click.echo(f"archived: the words of {words} facts; dropped: the requests of {requests} payments")


@archive.command("prove")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def prove_archive(file: Path) -> None:
    """Compare an archive with the facts that it belongs to. Exits 1 if a line is not of its fact."""
    try:
        with gzip.open(file) as lines:
            wrong = list(islice(wrong_in_archive(house().core, lines), MOST_WRONG))
    except (OSError, EOFError) as error:
        raise click.ClickException(f"{file} cannot be read: {error}") from None
    for line in wrong:
        click.echo(line)
    if wrong:
        raise SystemExit(1)
    click.echo("archive: every line is as its fact says")


@contextmanager
def _appending(file: Path) -> Iterator[Callable[[Sequence[bytes]], None]]:
    """Keeps pages in a new file for its owner's eyes. Each page is a whole piece of gzip, on the disk before its rows
    are changed: however the command ends, the file can be read."""
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.UsageError(f"{file} cannot be written: {error.strerror}") from None
    with os.fdopen(opened, "wb") as written:

        def keep(lines: Sequence[bytes]) -> None:
            written.write(gzip.compress(b"".join(lines)))
            written.flush()
            os.fsync(written.fileno())

        yield keep
