"""The `tillbook` command: what operators do, one subcommand each."""

from __future__ import annotations

import csv
import hashlib
import secrets
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from app import logs
from app.composition import House, build_engine, build_house
from app.config import SCOPES, Settings
from app.domain.numbers import slot_of_user
from app.models import schema
from app.providers.errors import Misconfigured
from app.services import audit as books
from app.services import freezing, kept_messages, receiving
from app.services.ledger.deferred import deferred_revenue
from app.services.ledger_audit import AuditState
from app.services.problems import NotFound
from app.services.products import BadCatalogue, import_products, parse_catalogue
from app.services.transaction import read, transact
from app.web.access import API_KEY_PREFIX
from app.worker import Worker


@click.group()
def main() -> None:
    """Tillbook: payments for virtual currency, wallets, and books that prove themselves."""
    logs.configure(json=not sys.stderr.isatty())


def settings() -> Settings:
    """The settings, or an end with what is wrong in them."""
    try:
        return Settings()
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        text = "\n".join(f"  {'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}" for fault in faults)
        raise click.ClickException(f"the settings are not valid:\n{text}") from None
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from None


def house() -> House:
    try:
        parts = build_house(settings())
    except Misconfigured as error:
        raise click.ClickException(str(error)) from None
    click.get_current_context().call_on_close(parts.engine.dispose)
    return parts


@main.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    engine = build_engine(settings())
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
    counts = transact(parts.core.sessions, lambda session: import_products(session, catalogue, parts.core.clock.now()))
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


@main.group()
def messages() -> None:
    """Notifications that were kept because a person has to look."""


@messages.command("list")
def list_messages() -> None:
    """The unresolved ones, oldest first."""
    for row in read(house().core.sessions, kept_messages.waiting):
        click.echo(f"{row.id}  {row.received_at:%Y-%m-%d %H:%M:%S}  {row.provider_account}  {row.reason}: {row.detail}")


@messages.command("replay")
@click.argument("number", type=int)
def replay_message(number: int) -> None:
    """Verify and apply a kept message again, as if the provider had just sent it."""
    click.echo(receiving.replay(house().core, number))


@messages.command("resolve")
@click.argument("number", type=int)
def resolve_message(number: int) -> None:
    """Take a message off the list: a person has dealt with it."""
    parts = house()
    transact(parts.core.sessions, lambda session: kept_messages.resolve(session, parts.core, number))


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
        wanted = freezing.Change(user, environment, asset, name == "freeze", reason, f"operator:{actor}")
        try:
            transact(core.sessions, lambda session: freezing.apply(session, core, slot_of_user(user), wanted))
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
    for row in freezing.history(house().core, user):
        what = f"{row.asset or 'all'} {'frozen' if row.frozen else 'unfrozen'}"
        click.echo(f"{row.at:%Y-%m-%d %H:%M:%S}  {row.environment}  {what} by {row.actor}: {row.reason}")


def _keep(file: Path, state: AuditState) -> None:
    """Replace the file as a whole: whenever we are stopped, a readable state is there."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(state.to_json())
    fresh.replace(file)


@main.group()
def report() -> None:
    """Figures for finance."""


@report.command("deferred-revenue")
def report_deferred_revenue() -> None:
    """As CSV: coins that are bought and not spent, and the money they were bought with, by product and month."""
    parts = house()
    zone = parts.core.rules.ledger.zone
    figures = read(parts.core.sessions, lambda session: deferred_revenue(session, zone=zone), snapshot=True)
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["environment", "product", "month", "asset", "coins", "currency", "value_minor"])
    for about, sums in figures.items():
        rows.writerow(
            [about.environment, about.product, about.month, about.asset, sums.coins, about.currency, sums.value_minor]
        )


@main.command()
@click.option("--quiet", is_flag=True, help="Only the verdict and the findings.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the state here, and go on from it if it is there.",
)
def audit(quiet: bool, state: Path | None) -> None:
    """Recompute balances from postings and orders from facts. Exits 1 and lists what differs."""
    parts = house()
    kept = AuditState.from_json(state.read_text()) if state and state.exists() else None
    progress: Any = None if quiet else lambda text: click.echo(text, err=True)
    keep = partial(_keep, state) if state else lambda _: None
    findings = books.audit(parts.core.sessions, progress=progress, ledger=kept, keep=keep)
    for finding in findings:
        click.echo(f"{finding.what}: {finding.detail}")
    if state:
        state.unlink(missing_ok=True)
    click.echo("audit: balanced" if not findings else f"audit: {len(findings)} findings")
    if findings:
        raise SystemExit(1)
