"""`tillbook agreements`: what users pay period after period."""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import click

from app.cli.house import house
from app.cli.import_files import ImportFile, import_lines
from app.cli.lists import Table, list_options, span_of, time_options, write_list
from app.domain import list_tables, representations
from app.domain.agreements import AgreementStatus
from app.domain.imported_agreements import IMPORTED_COLUMNS, NEEDED_OF_IMPORTED, agreement_line
from app.domain.numbers import parse_number
from app.domain.report_tables import Amount
from app.models.base import AnyRow
from app.services.agreements import agreement_lists, agreement_requests
from app.services.agreements.agreement_lists import AgreementFilter
from app.services.base.errors import DomainError
from app.services.base.idempotency import Keyed, keyed
from app.services.calls import agreement_queries
from app.services.intake.imported_agreements import faults_of_agreements, import_agreements

MOST_SHOWN = 1000
"""Periods of one agreement that are shown."""


@click.group()
def agreements() -> None:
    """What users pay period after period, and when they are charged next."""


@agreements.command("list")
@click.option("--user", help="Only this user's.")
@click.option("--status", type=click.Choice([str(status) for status in AgreementStatus]))
@click.option("--account", help="Only those with this provider account.")
@click.option("--product", help="Only those about this product.")
@time_options
@list_options
def list_agreements(
    user: str | None,
    status: str | None,
    account: str | None,
    product: str | None,
    since: str | None,
    until: str | None,
    limit: int | None,
    as_csv: bool,
) -> None:
    """The agreements of all users, or of one, newest first."""
    core = house().core
    stands = None if status is None else AgreementStatus(status)
    wanted = AgreementFilter(user, stands, account, product, span_of(since, until))
    write_list(partial(agreement_lists.list_agreements, core, wanted), limit, _line, _table() if as_csv else None)


def _table() -> Table[Any]:
    cells = itemgetter(*list_tables.AGREEMENT_COLUMNS)
    return list_tables.AGREEMENT_COLUMNS, lambda row: cells(representations.agreement_data(row))


@agreements.command("show")
@click.argument("number")
def show_agreement(number: str) -> None:
    """One agreement with its periods, newest first."""
    core, row = house().core, _found(number)
    click.echo(_line(row))
    for period in agreement_lists.periods_of(core, row, None, MOST_SHOWN).rows:
        refused = f"  refused: {period.refusal}" if period.refusal else ""
        click.echo(
            f"  period {period.number}  {period.starts_at:%Y-%m-%d %H:%M} to {period.ends_at:%Y-%m-%d %H:%M}"
            f"  {period.status}  order={period.order_id or '-'}{refused}"
        )


@agreements.command("cancel")
@click.argument("number")
@click.option("--by", "actor", required=True, help="Who wants it.")
@click.option("--at-once", is_flag=True, help="Now, and not with the period that is paid.")
def cancel_agreement(number: str, actor: str, at_once: bool) -> None:
    """End an agreement at its provider. No charge is made any more."""
    core, row = house().core, _found(number)

    def request(user_id: str) -> Keyed:
        return keyed("operator", f"cancel {row.id} {core.clock.now().isoformat()}", "cancel", {"user": user_id})

    try:
        agreement_requests.request_end(core, row.id, None, request, f"operator:{actor}", at_once=at_once)
    except DomainError as error:
        raise click.ClickException(error.code) from None
    agreement_queries.work_on_agreement(core, row.id)
    click.echo(_line(_found(number)))


@agreements.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", "only_check", is_flag=True, help="Check the whole file, and write nothing.")
def import_agreement_file(file: Path, only_check: bool) -> None:
    """Take over the agreements of an earlier system, from a CSV FILE (UTF-8, the names of the columns in the first
    line): debit agreements, which are charged on from there, and subscriptions that a store charges.

    Columns: provider_account, provider_number, user, product, status (active, past_due, paused, ended), and where you
    have them old_number, paid_until, next_charge_at, first_period_at, zone, amount, currency, way, signed_at, ended_at,
    ended_by. Times are ISO 8601 with a time zone.

    The whole file is checked before anything is written. Repeat the command after any interruption: an agreement is
    taken over once.
    """
    core = house().core
    table = ImportFile(file, IMPORTED_COLUMNS, NEEDED_OF_IMPORTED, partial(agreement_line, now=core.clock.now()))
    import_lines(table, only_check, partial(faults_of_agreements, core), partial(import_agreements, core), "agreements")


@agreements.command("charge-now")
@click.argument("number")
def charge_now(number: str) -> None:
    """Charge the period that is due at once, whatever was refused before."""
    core, row = house().core, _found(number)
    try:
        agreement_requests.charge_at_once(core, row.id)
    except DomainError as error:
        raise click.ClickException(error.code) from None
    agreement_queries.work_on_agreement(core, row.id)
    click.echo(_line(_found(number)))


def _found(number: str) -> AnyRow:
    parsed = parse_number(number)
    if parsed is None:
        raise click.ClickException(f"not a number of ours: {number!r}")
    try:
        return agreement_requests.view_agreement(house().core, None, parsed)
    except DomainError:
        raise click.ClickException(f"there is no agreement {number}") from None


def _line(row: AnyRow) -> str:
    money = Amount(row.amount_minor, row.currency).written() if row.amount_minor is not None else "the store's price"
    paid = f"paid until {row.paid_until:%Y-%m-%d %H:%M}" if row.paid_until else "nothing paid"
    charge = f"  next charge {row.next_charge_at:%Y-%m-%d %H:%M}" if row.next_charge_at else ""
    ended = f"  ended by {row.ended_by}" if row.ended_by else ""
    return (
        f"{row.id}  {row.environment}  {row.provider_account}  {row.status}  {row.sku}  {money}  user={row.user_id}"
        f"  {paid}{charge}{ended}"
    )
