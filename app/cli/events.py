"""The subcommands for developers of a backend: follow the feed, make an example event, read the catalogue."""

from __future__ import annotations

import json
import time

import click

from app.cli.house import end_as_whole, house
from app.config import load
from app.domain.event_types import TYPE_NAMES, EventType
from app.domain.representations import plain
from app.services.base.errors import DomainError
from app.services.events import catalogue as event_catalogue
from app.services.events import example_events, feed

LOOK_AGAIN_SECONDS = 0.5


@click.group()
def events() -> None:
    """What the app's backend is told."""


@events.command("tail")
@click.option("--after", help="A cursor, or `oldest`. Not given: from now on.")
@click.option("--type", "types", multiple=True, type=click.Choice(TYPE_NAMES), help="Only this type; repeatable.")
@click.option("--user", help="Only events of this user.")
@click.option("--no-follow", is_flag=True, help="End when everything that is there has been shown.")
def tail(after: str | None, types: tuple[str, ...], user: str | None, no_follow: bool) -> None:
    """Follow the feed: a line of JSON for each event, as endpoints get it. A running worker gives events their places.

    The cursor to go on from goes to standard error at the end.
    """
    core = house().core
    cursor = None if after == "oldest" else after or feed.newest_cursor(core)
    missing: tuple[str, ...] = ()
    wanted = [EventType(each) for each in types]
    try:
        while True:
            page = feed.read_feed(core, cursor, limit=feed.LARGEST_PAGE, types=wanted, user_id=user)
            if page.missing != missing:  # their events come later, and the cursor waits there
                click.echo(f"# do not answer: {', '.join(page.missing) or 'none'}", err=True)
            cursor, missing = page.cursor, page.missing
            for row in page.events:
                click.echo(json.dumps(plain(feed.as_sent(row)), ensure_ascii=False))
            if not page.more:
                if no_follow:
                    break
                time.sleep(LOOK_AGAIN_SECONDS)
    except KeyboardInterrupt:
        pass
    except DomainError as error:
        raise click.ClickException(f"{error.code}: {error.members or error.detail}") from None
    click.echo(f"# next cursor: {cursor}", err=True)
    end_as_whole(missing)


@events.command("trigger")
@click.argument("kind", metavar="TYPE", type=click.Choice(TYPE_NAMES))
@click.option("--in-production", is_flag=True, help="Needed where env is production: receivers there must know `test`.")
def trigger(kind: str, in_production: bool) -> None:
    """Write an example event of TYPE, which the worker sends as a real one. Its cause is `test`; nothing is booked."""
    if load().env == "production" and not in_production:
        raise click.ClickException("env is production: an example would reach the real backend (--in-production)")
    click.echo(str(example_events.write_example(house().core, EventType(kind))))


@events.command("catalogue")
@click.option(
    "--language",
    type=click.Choice([event_catalogue.ENGLISH, event_catalogue.CHINESE]),
    default=event_catalogue.ENGLISH,
    show_default=True,
)
def catalogue(language: str) -> None:
    """Every type of event, when it is told, and an example: Markdown, as in docs/events.md."""
    click.echo(event_catalogue.written(language))
