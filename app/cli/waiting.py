"""The subcommands for what a person must look at: kept messages, parked facts, payments that do not end."""

from __future__ import annotations

import click

from app.cli.house import end_as_whole, house
from app.domain.money import Money, MoneyError, parse_decimal
from app.domain.remedies import remedy
from app.domain.report_tables import Amount
from app.domain.status import NEEDS_A_PERSON, Outcome
from app.services.base.errors import DomainError
from app.services.facts import assigned, fact_search, imported_refunds, inbox, parked
from app.services.intake import notifications
from app.services.payments import expiry


@click.group()
def messages() -> None:
    """Notifications that were kept because a person has to look."""


@messages.command("list")
def list_messages() -> None:
    """The unresolved ones, oldest first."""
    answer = house().core.what_answers(inbox.waiting_messages)
    for row in answer.found:
        click.echo(f"{row.id}  {row.received_at:%Y-%m-%d %H:%M:%S}  {row.provider_account}  {row.reason}: {row.detail}")
    end_as_whole(answer.missing)


@messages.command("replay")
@click.argument("number", type=int)
def replay_message(number: int) -> None:
    """Verify and apply a kept message again, as if the provider had just sent it.

    Exits 1 if it is refused, or if a person still has to look at what it says.
    """
    try:
        replayed = notifications.replay(house().core, number)
    except notifications.NotReplayed as error:
        raise click.ClickException(str(error)) from None
    if not replayed.settled:
        raise click.ClickException(f"still to be looked at: {replayed}")
    click.echo(str(replayed))


@messages.command("resolve")
@click.argument("number", type=int)
def resolve_message(number: int) -> None:
    """Take a message off the list: a person has dealt with it."""
    parts = house()
    parts.core.of_number(number).transact(lambda tx: inbox.resolve(tx, number))


@click.group()
def facts() -> None:
    """Verified statements of providers that match nothing here, or came on top."""


@facts.command("list")
@click.option("--outcome", type=click.Choice(["parked", "surplus", "not_ours"]), default="parked", show_default=True)
@click.option("--theirs", help="Only those that name this number; needed for `not_ours`, which may be very many.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
def list_facts(outcome: str, theirs: str | None, limit: int) -> None:
    """Those that are still so, oldest first, each with what to do about it. `not_ours`: what histories and bills list
    that is about nothing here."""
    if outcome == "not_ours" and theirs is None:
        raise click.UsageError("--outcome not_ours needs --theirs NUMBER; `tillbook scans list` counts them")
    core = house().core
    answer = core.what_answers(
        lambda tx: fact_search.described(tx, parked.list_parked(tx, outcome, limit, theirs)),
    )
    for each in answer.found:
        click.echo(_fact_line(each))
    end_as_whole(answer.missing)


@facts.command("find")
@click.argument("number")
def find_facts(number: str) -> None:
    """The facts alone that this number names, each in full: its money, what became of it, and what to do about it.

    `tillbook find NUMBER` says what else has that number, and begins every search. Exits 1 if no fact names it.
    """
    answer = house().core.what_answers(lambda tx: fact_search.find_facts(tx, number))
    for each in answer.found:
        click.echo(f"{each.row.outcome}  {_fact_line(each)}")
    end_as_whole(answer.missing)
    if not answer.found:
        raise click.ClickException(f"no fact names {number}")


def _fact_line(each: fact_search.ShownFact) -> str:
    row, told = each.row, each.row.content
    money = (
        Amount(told["amount_minor"], told["currency"]).written() if told["amount_minor"] is not None else "no amount"
    )
    waits = row.outcome not in (Outcome.APPLIED, Outcome.NOTED)
    todo = f"  {remedy(row.reason)}" if waits and remedy(row.reason) else ""
    return (
        f"{row.id}  {row.recorded_at:%Y-%m-%d %H:%M:%S}  {row.provider_account}  {row.kind}  {row.reason}  {money}"
        f"  user={each.user} product={each.product}{todo}  ours={told['ours']} theirs={told['theirs']}"
    )


@facts.command("reexamine")
@click.argument("number", type=int)
def reexamine_fact(number: int) -> None:
    """Apply a parked fact once more, by the usual rules: after an upgrade, or when its cause has been put right.

    Exits 1 if that is not possible, or if a person still has to look at it.
    """
    try:
        applied = parked.reexamine(house().core, number)
    except parked.NotReexamined as error:
        raise click.ClickException(f"fact {number}: {error}") from None
    became = f"{applied.outcome} {applied.reason}".strip()
    if applied.outcome in NEEDS_A_PERSON:
        raise click.ClickException(f"still to be looked at: {became}")
    click.echo(became)


@facts.command("assign")
@click.argument("number", type=int)
@click.option("--order", "order_id", type=int, required=True, help="The order that is paid by it.")
@click.option("--yes", is_flag=True, help="Do it; without this, only what would be done is shown.")
@click.option("--reason", default="", help="Needed with --yes.")
@click.option("--actor", default="", help="Who you are. Needed with --yes.")
def assign_fact(number: int, order_id: int, yes: bool, reason: str, actor: str) -> None:
    """Give money that matched nothing (suspense, or what seemed to be another system's) to the order of a user.

    The order must have an attempt to pay by the same provider account, and cost what was paid; for a user without one,
    make it first. Its coins are credited as ever. Exits 1 if it does not fit.
    """
    core = house().core
    try:
        plan = assigned.plan_assignment(core, number, order_id)
        if not yes:
            click.echo(f"would {plan.sentence}")
            return
        if not (reason and actor):
            raise click.UsageError("--yes needs --reason and --actor")
        applied = assigned.assign(core, plan, actor=f"operator:{actor}", reason=reason)
    except assigned.NotAssigned as error:
        raise click.ClickException(f"fact {number}: {error}") from None
    click.echo(f"{applied.outcome} {applied.reason}".strip())


@facts.command("end")
@click.argument("number", type=int)
@click.option("--price", help="What the payer paid for the whole purchase, as 15.00: needed where the store told none.")
@click.option("--currency", help="The currency of --price.")
@click.option("--yes", is_flag=True, help="Do it; without this, only what would be done is shown.")
@click.option("--confirm", is_flag=True, help="You are the second person, and agree.")
@click.option("--reason", default="", help="Needed with --yes.")
@click.option("--actor", default="", help="Who you are. Needed with --yes and --confirm.")
def end_fact(
    number: int, price: str | None, currency: str | None, yes: bool, confirm: bool, reason: str, actor: str
) -> None:
    """End a refund of what an earlier system sold (`refund_before_import`): book its money, and take it off the list.

    Coins of that purchase are not touched: take them back by a debit. Exits 1 if it cannot be ended.
    """
    core = house().core
    try:
        given = _price_given(price, currency)
        found = imported_refunds.look_at(core, number, given)
        if confirm or yes:
            if not actor or not (reason or confirm):
                raise click.UsageError("--confirm needs --actor" if confirm else "--yes needs --reason and --actor")
            found = (
                imported_refunds.confirm_end(core, found, actor=f"operator:{actor}")
                if confirm
                else imported_refunds.end_refund(core, found, reason, actor=f"operator:{actor}")
            )
    except (DomainError, MoneyError) as error:
        raise click.ClickException(f"fact {number}: {error}") from None
    click.echo(imported_refunds.sentence_of(found))


def _price_given(price: str | None, currency: str | None) -> Money | None:
    if (price is None) != (currency is None):
        raise click.UsageError("--price and --currency belong together")
    return None if price is None or currency is None else parse_decimal(price, currency)


@click.group()
def payments() -> None:
    """Payments that do not end by themselves."""


@payments.command("overdue")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
def list_overdue_payments(limit: int) -> None:
    """Those still open though their time and grace are over, oldest first: the provider does not answer, or does not
    close them."""
    core = house().core
    answer = core.what_answers(lambda tx: expiry.overdue(tx, limit))
    for row in answer.found:
        click.echo(
            f"{row.id}  {row.expires_at:%Y-%m-%d %H:%M:%S}  {row.provider_account}  {row.status}  theirs={row.theirs}"
            f"  asked {row.queries} times"
        )
    end_as_whole(answer.missing)


@payments.command("close")
@click.argument("number", type=int)
@click.option("--reason", required=True)
@click.option("--actor", required=True, help="Who you are.")
def close_payment(number: int, reason: str, actor: str) -> None:
    """Close a payment that is overdue, because you have found out that it was not paid.

    Its order expires with it. Money that comes all the same is treated as late money. Exits 1 if it cannot be closed.
    """
    try:
        expiry.close_by_hand(house().core, number, actor=f"operator:{actor}", reason=reason)
    except expiry.NotClosed as error:
        raise click.ClickException(f"payment {number}: {error}") from None
    click.echo(f"payment {number}: closed")
