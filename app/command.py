"""What every subcommand of `tillbook` starts with."""

from __future__ import annotations

import click

from app.composition import House, build_house
from app.config import load


def house() -> House:
    """The house over the configured database, given back when the command ends. Raises BadSettings, Misconfigured."""
    parts = build_house(load())
    click.get_current_context().call_on_close(parts.engine.dispose)
    return parts
