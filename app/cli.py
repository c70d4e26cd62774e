"""The `tillbook` command: what operators do, one subcommand each."""

from __future__ import annotations

import csv
import hashlib
import json
import secrets
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from app import attention, audit_progress, logs, trial_balance_text
from app.cli_scans import scans
from app.command import house
from app.composition import build_engine
from app.config import SCOPES, BadSettings, load
from app.domain.numbers import slot_of_user
from app.models import schema
from app.providers.errors import Misconfigured
from app.services.accounts import freezes
from app.services.accounts.catalog import BadCatalogue, import_products, parse_catalogue
from app.services.audit import run as books
from app.services.audit.ledger import AsOf, AuditState
from app.services.base.errors import NotFound
from app.services.ledger import checkpoints
from app.services.ledger.deferred import deferred_revenue
from app.services.ledger.trial_balance import trial_balance
from app.web.access import API_KEY_PREFIX
from app.worker import Worker


class _Commands(click.Group):
    """Ends a command with one clear sentence where settings or the database are at fault, not ourselves."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BadSettings, Misconfigured) as error:
            raise click.ClickException(str(error)) from None
        except (OperationalError, ProgrammingError) as error:
            raise click.ClickException(f"the database cannot be used (`tillbook migrate`?): {error.orig}") from None


@click.group(cls=_Commands)
def main() -> None:
    """Tillbook: payments for virtual currency, wallets, and books that prove themselves."""
    logs.configure(json=not sys.stderr.isatty())


@main.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    engine = build_engine(load())
    click.get_current_context().call_on_close(engine.dispose)
    click.echo(f"schema: {schema.migrate(engine)}")


@main.command()
def check() -> None:
    """Check settings, provider accounts, database and schema; exits 1 if something cannot work."""
    parts = house()
    at, wanted = schema.current(parts.engine), schema.newest()
    click.echo(f"database: {parts.engine.dialect.name}, schema {at or 'empty'} (newest {wanted})")
    for account in parts.core.registry:
        click.echo(f"provider account {account.name}: {account.plugin}, {'live' if account.live else 'sandbox'}")
    if at != wanted:
        raise click.ClickException("the schema is not the newest: run `tillbook migrate`")


@main.command()
@click.option("--once", is_flag=True, help="One round, for cron.")
def worker(once: bool) -> None:
    """Do what is due: ask providers about open payments, end orders, renew keys."""
    parts = house()
    running = Worker(parts.core, parts.keys.values())
    if once:
        click.echo(f"done: {running.run_once()}")
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop.set())
    running.run()


@main.group()
def products() -> None:
    """The catalogue."""


@products.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_file(file: Path) -> None:
    """Make the catalogue what the TOML FILE says. Checked as a whole first; repeating it changes nothing."""
    try:
        catalogue = parse_catalogue(file.read_text(encoding="utf-8"))
    except (BadCatalogue, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file}: {error}") from None
    parts = house()
    counts = parts.core.transact(lambda session: import_products(session, catalogue, parts.core.clock.now()))
    click.echo(", ".join(f"{name} {count}" for name, count in counts.items()))


@main.group()
def keys() -> None:
    """API keys of the app's backend."""


@keys.command("new")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(sorted(SCOPES)))
def new_key(name: str, scopes: tuple[str, ...]) -> None:
    """Make an API key. The key itself is shown once and kept nowhere; the settings hold its SHA-256."""
    key = API_KEY_PREFIX + secrets.token_urlsafe(32)
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    click.echo(f"key (give it to the backend): {key}")
    click.echo(f'[api_keys.{name}]\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\nscopes = [{listed}]')


for _group in (attention.messages, attention.facts, attention.payments, scans):
    main.add_command(_group)


@main.group()
def wallets() -> None:
    """Wallets of users: freezing them, and who did so."""


def _freezing(name: str, done: str) -> None:
    """`freeze` and `unfreeze` differ in nothing else."""

    @wallets.command(name)
    @click.argument("user")
    @click.option("--asset", help="Only this one; every wallet of the environment if not given.")
    @click.option("--environment", type=click.Choice(["live", "sandbox"]), default="live", show_default=True)
    @click.option("--reason", required=True)
    @click.option("--actor", required=True, help="Who you are.")
    def command(user: str, asset: str | None, environment: str, reason: str, actor: str) -> None:
        core = house().core
        wanted = freezes.Change(user, environment, asset, name == "freeze", reason, f"operator:{actor}")
        try:
            core.transact(lambda session: freezes.apply(session, slot_of_user(user), wanted))
        except NotFound:
            raise click.ClickException(f"{user} has no wallet in {environment}") from None
        click.echo(f"{user}: {done}")

    command.help = f"{name.capitalize()} the wallets of USER. It is written down who did it and why."


_freezing("freeze", "frozen: spends are refused, credits still come in")
_freezing("unfreeze", "unfrozen")


@wallets.command("history")
@click.argument("user")
def freezing_history(user: str) -> None:
    """Who froze and unfroze the wallets of USER."""
    for row in freezes.history(house().core, user):
        what = f"{row.asset or 'all'} {'frozen' if row.frozen else 'unfrozen'}"
        click.echo(f"{row.at:%Y-%m-%d %H:%M:%S}  {row.environment}  {what} by {row.actor}: {row.reason}")


@main.group()
def report() -> None:
    """Figures for finance."""


@report.command("deferred-revenue")
def report_deferred_revenue() -> None:
    """As CSV: coins that are bought and not spent, and the money they were bought with, by product and month."""
    parts = house()
    zone = parts.core.rules.ledger.zone
    figures = parts.core.read(lambda session: deferred_revenue(session, zone=zone), snapshot=True)
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["environment", "product", "month", "asset", "coins", "currency", "value_minor"])
    for about, sums in figures.items():
        rows.writerow(
            [about.environment, about.product, about.month, about.asset, sums.coins, about.currency, sums.value_minor]
        )


@report.command("trial-balance")
@click.option("--at", metavar="ISO-TIME", help="With time zone, as 2026-03-01T00:00:00Z; at present, if not given.")
@click.option("--json", "as_document", is_flag=True, help="As one JSON document.")
def report_trial_balance(at: str | None, as_document: bool) -> None:
    """What every account of the house, and all users together, gained and lost. Exits 1 if it does not sum to zero."""
    moment = None if at is None else _moment(at)
    core = house().core
    now = core.clock.now()
    found = core.read(lambda session: trial_balance(session, now=now, at=moment), snapshot=True)
    if as_document:
        sheets = [trial_balance_text.as_json(sheet) for sheet in found.sheets]
        click.echo(json.dumps({"at": found.at.isoformat(), "balanced": found.balanced, "sheets": sheets}))
    else:
        click.echo("\n".join(trial_balance_text.as_table(found)))
    if not found.balanced:
        raise SystemExit(1)


def _moment(given: str) -> datetime:
    """An ISO 8601 time with its zone. Raises click's error for anything else."""
    try:
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise click.BadParameter(f"not an ISO 8601 time with its zone: {given}")


@main.command("recount-checkpoints")
@click.argument("since", metavar="YYYY-MM-DD", type=click.DateTime(["%Y-%m-%d"]))
def recount_checkpoints(since: datetime) -> None:
    """Count the checkpoints anew from that day (UTC) on, after the audit named it and the cause was found."""
    core = house().core
    written = checkpoints.recount(core.sessions, since.date(), now=core.clock.now())
    click.echo(f"checkpoints: {written} written anew")


@main.command()
@click.option("--quiet", is_flag=True, help="Only the verdict and the findings.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the state here, and go on from it if it is there.",
)
def audit(quiet: bool, state: Path | None) -> None:
    """Recompute balances from postings and orders from facts. Exits 1 and lists what differs.

    The seal stands for all chains of the ledger: keep it elsewhere to prove later that nothing was rewritten since.
    """
    core = house().core
    try:
        ledger = audit_progress.kept_in(state) or AuditState()
    except ValueError as error:
        raise click.ClickException(f"{state} holds no state of an audit: {error}") from None
    as_of = AsOf(core.rules.ledger, core.clock.now)
    with audit_progress.shown(quiet=quiet, keep=audit_progress.keep_in(state)) as (watch, tell):
        findings = books.audit(core.sessions, as_of, tell, ledger=ledger, watch=watch)
    for finding in findings:
        click.echo(f"{finding.what}: {finding.detail}")
    if state:
        state.unlink(missing_ok=True)
    if not quiet:
        click.echo(f"ledger: {ledger.transfers} transfers in {ledger.accounts} books, seal {ledger.seal or 'none'}")
    click.echo("audit: balanced" if not findings else f"audit: {len(findings)} findings")
    if findings:
        raise SystemExit(1)
