"""Anchors as files: written whole or not at all, and read only after their signature is proved."""

from __future__ import annotations

import os
from datetime import UTC
from itertools import islice
from pathlib import Path

import click

from app.domain.proof.anchors import AnchorHeader, AnchorUnreadable, contents, proved_header, signed_lines
from app.domain.proof.rows import UNREADABLE
from app.domain.seals import Seals
from app.services.audit.anchors import anchor_lines, audit_against
from app.services.audit.orders import Finding
from app.services.base.context import Core

NO_KEY = "warning: `[audit] key` is not set: whoever can write to an anchor's file can change it, and nobody sees that"


class NotAnAnchor(click.ClickException):
    """A file that proves nothing, or could not be made: no finding of the audit."""

    exit_code = 2


def header_of(file: Path, seals: Seals) -> AnchorHeader:
    """When and of what the anchor in that file was made. Raises NotAnAnchor."""
    try:
        with file.open("rb") as lines:
            return proved_header(lines, seals)
    except (AnchorUnreadable, OSError) as error:
        raise NotAnAnchor(f"{file} is no anchor to prove the books against: {error}") from None


def compare(core: Core, file: Path, header: AnchorHeader, most: int) -> list[Finding]:
    """What was anchored in that file and is not as it was, at most so much. Raises NotAnAnchor."""
    try:
        with file.open("rb") as lines:
            found = audit_against(core.whole.sessions, contents(lines))
            return [Finding(each.what, f"{each.detail} (anchor of {header.shown})") for each in islice(found, most)]
    except (AnchorUnreadable, OSError) as error:
        raise NotAnAnchor(f"{file} is no anchor to prove the books against: {error}") from None


def write_anchor(core: Core, file: Path) -> None:
    """Anchor what is there now. The file appears when it is complete, and is for its owner's eyes: it names users.

    Raises NotAnAnchor where it cannot be written, or a row cannot be read: the audit has named that row.
    """
    moment = core.clock.now().astimezone(UTC)
    header = AnchorHeader(moment.isoformat(timespec="seconds"), core.public_url)
    lines = signed_lines(header, anchor_lines(core.whole.sessions), core.rules.ledger.seals)
    fresh = _fresh(file)
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            written.writelines(lines)
            written.flush()
            os.fsync(written.fileno())
        fresh.rename(file)
    except (OSError, *UNREADABLE) as error:
        fresh.unlink(missing_ok=True)
        raise NotAnAnchor(f"no anchor is written to {file}: {error!r}") from None


def refuse_to_replace(file: Path) -> None:
    """Before the long audit: whether the anchor can be written at its end. An anchor is never written over."""
    if file.exists():
        raise click.UsageError(f"{file} is there already, and no anchor is written over")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise click.UsageError(f"nothing can be written into {file.parent}")


def _fresh(file: Path) -> Path:
    """The name of the file until it is complete."""
    return file.with_name(f"{file.name}.new")
