"""The `tillbook` command: what operators do. Each file here has the subcommands of one kind."""

from __future__ import annotations

import sys
from typing import Any

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from app import logs
from app.cli import (
    agreements,
    archive,
    audit,
    bills,
    callers,
    differences,
    endpoints,
    events,
    finance,
    find,
    fulfilments,
    gifts,
    installation,
    operators,
    orders,
    owners,
    refunds,
    reports,
    scans,
    settings,
    slots,
    waiting,
    wallets,
)
from app.config import BadSettings
from app.providers.errors import Misconfigured
from app.services.base.errors import SlotsFrozen
from app.services.base.replica import ReportsUnavailable
from app.services.base.slot_maps import SlotMapDiffers, database_of_error


class _Commands(click.Group):
    """Ends a command with one clear sentence where settings or the database are at fault, not ourselves."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BadSettings, Misconfigured, ReportsUnavailable, SlotMapDiffers, SlotsFrozen) as error:
            raise click.ClickException(str(error)) from None
        except (OperationalError, ProgrammingError) as error:
            name = database_of_error(error)
            which = "the database" if name is None else f"the database {name!r}"
            raise click.ClickException(f"{which} cannot be used (`tillbook migrate`?): {error.orig}") from None


@click.group(cls=_Commands)
def main() -> None:
    """Tillbook: payments for virtual currency, wallets, and books that prove themselves."""
    logs.configure(json=not sys.stderr.isatty())


for _command in (
    installation.migrate,
    installation.distribute,
    settings.check,
    slots.slots,
    installation.worker,
    installation.products,
    callers.keys,
    callers.callers,
    operators.operators,
    waiting.messages,
    waiting.facts,
    waiting.payments,
    find.find,
    orders.orders,
    refunds.refunds,
    fulfilments.fulfilments,
    gifts.gifts,
    agreements.agreements,
    owners.owners,
    scans.scans,
    bills.bills,
    differences.differences,
    endpoints.endpoints,
    events.events,
    wallets.wallets,
    reports.report,
    reports.recount_checkpoints,
    finance.journal,
    finance.close_month,
    finance.list_closings,
    finance.book_bills,
    audit.audit,
    archive.archive,
):
    main.add_command(_command)
