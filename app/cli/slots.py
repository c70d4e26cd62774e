"""`tillbook slots`: which database holds which users, and moving them."""

from __future__ import annotations

from datetime import datetime

import click

from app.cli.house import house
from app.domain.numbers import SLOTS
from app.domain.slot_map import parse_ranges, slots_of, text_of_ranges
from app.services.moves.slot_moves import FREEZE_SECONDS, USUAL_ROWS, MoveRefused, SlotMover
from app.services.moves.slot_rows import RowsDiffer

USUAL_AT_ONCE = 64


@click.group()
def slots() -> None:
    """Which of several databases holds which slots."""


@slots.command("move")
@click.argument("ranges")
@click.option("--to", "target", required=True, help="The name of the database that gets them.")
@click.option(
    "--at-once",
    type=click.IntRange(1, SLOTS),
    default=USUAL_AT_ONCE,
    show_default=True,
    help="Slots that are frozen together.",
)
@click.option(
    "--rows-at-once",
    type=click.IntRange(1),
    default=USUAL_ROWS,
    show_default=True,
    help="Rows that are frozen together: fewer slots, down to one, where these have more.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=FREEZE_SECONDS,
    show_default=True,
    help="Seconds until every process knows what is frozen. 0 if none runs.",
)
@click.option("--resume", is_flag=True, help="Go on with this move at once: its process is known to be dead.")
def move_slots(ranges: str, target: str, at_once: int, rows_at_once: int, wait: float, resume: bool) -> None:
    """Move the slots of RANGES (`1024-1279,3000`) to another database while the service runs.

    The users of the slots in hand are answered 503 meanwhile, for 2 seconds and as long as their rows are copied; all
    others are served. Stopped anywhere, the same command goes on.
    """
    try:
        wanted = slots_of(parse_ranges(ranges))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    parts = house()
    if parts.maps is None or len(parts.engines) < 2:
        raise click.ClickException("there is one database: slots are moved between several ([[databases]])")
    try:
        mover = SlotMover(parts.core, parts.maps, wait)
        for group in mover.move(wanted, target, at_once=at_once, most_rows=rows_at_once, resume=resume):
            click.echo(
                f"{datetime.now().astimezone():%H:%M:%S} moved {group.slots} from {group.source} to {group.target}: "
                f"{group.rows} rows, version {group.version} of the map"
            )
            for slot, seal in group.seals.items():
                click.echo(f"  slot {slot}: seal {seal}, before and after")
    except (MoveRefused, RowsDiffer) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"done: {text_of_ranges(parse_ranges(ranges))} in {target}")
