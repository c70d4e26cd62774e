"""The parts of the service for one command, and how commands read a time."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from datetime import UTC, datetime

import click
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.composition import House, build_house
from app.config import load


def house() -> House:
    """The house over the configured database, given back when the command ends. Raises BadSettings, Misconfigured.

    The public keys that the worker fetched are there, since the command may ask a provider, or read a message of one.
    """
    parts = build_house(load())
    click.get_current_context().call_on_close(parts.close)
    with contextlib.suppress(DBAPIError, PoolTimeout):  # no tables yet, or no answer: the command itself says so
        parts.reload_keys()
    return parts


def end_as_whole(missing: Collection[str]) -> None:
    """Call it when everything is written: says which databases are missing from it, and ends the command with 1, so
    that no script takes a part for the whole."""
    if missing:
        raise click.ClickException(
            f"not everything is here: {', '.join(sorted(missing))} does not answer, or slots are being moved from there"
        )


def given_moment(given: str) -> datetime:
    """An ISO 8601 time with its zone. Raises click's error for anything else."""
    try:
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise click.BadParameter(f"not an ISO 8601 time with its zone: {given}")
