"""The subcommands for endpoints: where events are sent, and what became of each sending."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import click

from app.cli.house import end_as_whole, given_moment, house
from app.domain.delivery_schedule import DeliveryStatus
from app.domain.event_types import TYPE_NAMES, EventType
from app.domain.numbers import slot_of_uuid
from app.models.base import AnyRow
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError
from app.services.events import deliveries, endpoint_tests
from app.services.events import endpoints as endpoint_rows

_ACTOR = click.option("--actor", default="unnamed", show_default=True, help="Who you are.")


@click.group()
def endpoints() -> None:
    """Endpoints: where the app's backend is told."""


@endpoints.command("add")
@click.argument("name")
@click.argument("url")
@click.option("--type", "types", multiple=True, type=click.Choice(TYPE_NAMES), help="Only this type; repeatable.")
@click.option("--after", help="Cursor of the feed behind which events are sent. Not given: from now on.")
@_ACTOR
def add_endpoint(name: str, url: str, types: tuple[str, ...], after: str | None, actor: str) -> None:
    """Send events to URL from now on. The secret that signs them goes to standard output."""
    wanted = endpoint_rows.NewEndpoint(
        name, url, [EventType(each) for each in types], endpoint_rows.BY_OPERATOR, f"operator:{actor}", after
    )
    core = house().core
    _changed(core, lambda tx: endpoint_rows.add_endpoint(tx, wanted))
    click.echo(_secret(core, name))


@endpoints.command("list")
def list_endpoints() -> None:
    """Each endpoint, how it is, and how much waits for it."""
    answer = house().core.what_answers(endpoint_rows.shown_endpoints)
    for each in answer.found:
        types = ",".join(each["types"]) or "all types"
        waits = f"{each['open_deliveries']} open, {each['behind']} not looked at"
        click.echo(f"{each['name']}  {each['status']}  {each['url']}  {types}  {waits}{_trouble(each)}")
    end_as_whole(answer.missing)


def _trouble(shown: dict[str, Any]) -> str:
    if shown["paused_at"] is not None:
        return f"  since {shown['paused_at']:%Y-%m-%d %H:%M} by {shown['paused_by']}: {shown['reason']}"
    if shown["failing_since"] is not None:
        return f"  has taken nothing since {shown['failing_since']:%Y-%m-%d %H:%M}, failed {shown['failures']} times"
    return ""


@endpoints.command("rotate")
@click.argument("name")
@click.option("--overlap-hours", type=click.IntRange(0, 168), default=24, show_default=True)
def rotate_secret(name: str, overlap_hours: int) -> None:
    """Make a new secret, to standard output. Those before it go on signing for some hours."""
    core = house().core
    _changed(core, lambda tx: endpoint_rows.rotate_secret(tx, name, timedelta(hours=overlap_hours)))
    click.echo(_secret(core, name))


@endpoints.command("pause")
@click.argument("name")
@click.option("--reason", default="paused by hand", show_default=True)
@_ACTOR
def pause_endpoint(name: str, reason: str, actor: str) -> None:
    """Send nothing there until it is resumed."""
    _changed(house().core, lambda tx: endpoint_rows.pause_endpoint(tx, name, reason, f"operator:{actor}"))
    click.echo(f"{name}: paused")


@endpoints.command("resume")
@click.argument("name")
def resume_endpoint(name: str) -> None:
    """Send again, beginning with what was missed, in order."""
    _changed(house().core, lambda tx: endpoint_rows.resume_endpoint(tx, name))
    click.echo(f"{name}: resumed")


@endpoints.command("remove")
@click.argument("name")
def remove_endpoint(name: str) -> None:
    """Send nothing there any more. What waits for it is dropped."""
    _changed(house().core, lambda tx: endpoint_rows.remove_endpoint(tx, name))
    click.echo(f"{name}: removed")


@endpoints.command("test")
@click.argument("name")
def test_endpoint(name: str) -> None:
    """Send one test message there now, and show the answer. Exits 1 if it is not taken."""
    try:
        shown = endpoint_tests.as_shown(endpoint_tests.send_test(house().core, name))
    except DomainError as error:
        raise _click_error(error) from None
    said = f"HTTP {shown['code']}" if shown["code"] is not None else shown["problem"]
    text = f"{name}: {said} after {shown['latency_ms']} ms"
    if not shown["taken"]:
        raise click.ClickException(f"{text}: not taken  {shown['answer']}".rstrip())
    click.echo(f"{text}: taken")


@endpoints.command("deliveries")
@click.argument("name")
@click.option("--status", type=click.Choice([status.value for status in DeliveryStatus]))
@click.option("--user")
@click.option("--limit", type=click.IntRange(1, deliveries.MOST_LISTED), default=50, show_default=True)
def list_deliveries(name: str, status: str | None, user: str | None, limit: int) -> None:
    """What was and is to be sent there, the newest events first, each with its last attempt."""
    core = house().core
    try:
        page = deliveries.list_deliveries(core, name, status=status, user_id=user, before=None, limit=limit)
    except DomainError as error:
        raise _click_error(error) from None
    for row in page.rows:
        tried = (
            f"{row.tried_at:%Y-%m-%d %H:%M:%S}  HTTP {row.code}  {row.latency_ms} ms" if row.tried_at else "not tried"
        )
        again = f"  next {row.next_at:%Y-%m-%d %H:%M:%S}" if row.next_at is not None else ""
        click.echo(
            f"{row.event_id}  {row.type}  {row.user_id}  {row.status}  {row.attempts} attempts  {tried}{again}"
            f"  {row.problem}".rstrip()
        )
    end_as_whole(page.missing)


@endpoints.command("resend")
@click.argument("name")
@click.argument("event", required=False, type=click.UUID)
@click.option("--since", help="Everything that happened at this moment or later (ISO 8601 with a zone).")
def resend(name: str, event: uuid.UUID | None, since: str | None) -> None:
    """Send one EVENT there once more, or everything since a moment."""
    if (event is None) == (since is None):
        raise click.UsageError("name one event, or a moment with --since")
    core = house().core
    if event is not None:
        _changed_delivery(core, name, event, partial(deliveries.resend_event, event_id=event))
        click.echo(f"{name}: {event} is sent again")
    else:
        moment = given_moment(since or "")
        count = _changed(core, lambda tx: deliveries.resend_since(tx, name, moment))
        click.echo(f"{name}: {count} events are gone through again")


@endpoints.command("give-up")
@click.argument("name")
@click.argument("event", type=click.UUID)
@_ACTOR
def give_up(name: str, event: uuid.UUID, actor: str) -> None:
    """Send EVENT there no more, so that the next ones of its user are sent."""
    change = partial(deliveries.give_up_delivery, event_id=event, by=f"operator:{actor}")
    _changed_delivery(house().core, name, event, change)
    click.echo(f"{name}: {event} is given up")


def _changed(core: Core, change: Callable[[Tx], Any]) -> Any:
    try:
        return core.house.transact(change)
    except DomainError as error:
        raise _click_error(error) from None


def _changed_delivery(core: Core, name: str, event: uuid.UUID, change: Callable[[Tx, AnyRow], object]) -> None:
    try:
        endpoint = core.home.read(lambda tx: endpoint_rows.find_endpoint(tx, name))
        core.at(slot_of_uuid(event)).transact(lambda tx: change(tx, endpoint))
    except DomainError as error:
        raise _click_error(error) from None


def _secret(core: Core, name: str) -> str:
    return core.home.read(lambda tx: endpoint_rows.newest_secret(tx, endpoint_rows.find_endpoint(tx, name)))


def _click_error(error: DomainError) -> click.ClickException:
    named = ", ".join(f"{name} {value}" for name, value in error.members.items())
    return click.ClickException(": ".join(part for part in (error.code, named, error.detail) if part))
