"""The subcommands that make an installation run: the schema, the catalogue, the worker."""

from __future__ import annotations

import signal
from pathlib import Path

import click
from sqlalchemy import Engine

from app.cli.house import house
from app.composition import build_engines, map_is_current
from app.config import Settings, load
from app.models import schema
from app.models.distribution import FEWEST_SHARDS, MOST_SHARDS, USUAL_SHARDS, distribute_in, is_cluster
from app.services.accounts.catalog import BadCatalogue, import_products, parse_catalogue
from app.services.base import slot_maps
from app.worker import Worker


@click.command()
def migrate() -> None:
    """Bring every database to the newest schema, and let each bear its name and the map of the slots.

    A database that bears another name or another map, or has rows of slots that are not its own, is refused.
    """
    settings = load()
    engines = _engines(settings)
    wanted = settings.slot_map() or slot_maps.newest_kept(engines).map
    slot_maps.check_before_migration(engines, wanted)
    for name, engine in engines.items():
        click.echo(f"{_prefix(settings, name)}schema: {schema.migrate(engine)}")
    version = slot_maps.write_missing(engines, wanted)
    if settings.databases:
        click.echo(f"slots: {wanted} (version {version} of the map)")


@click.command()
@click.option("--shards", type=click.IntRange(FEWEST_SHARDS, MOST_SHARDS), default=USUAL_SHARDS, show_default=True)
def distribute(shards: int) -> None:
    """Spread the tables over the nodes of a Citus cluster, by slot; `migrate` does so too, with 64 shards.

    Repeating it changes nothing, and on any other database there is nothing to do.
    """
    settings = load()
    for name, engine in _engines(settings).items():
        with engine.begin() as connection:
            if not is_cluster(connection):
                click.echo(f"{_prefix(settings, name)}the database is no cluster: nothing to distribute")
                continue
            names = distribute_in(connection, shards)
        click.echo(f"{_prefix(settings, name)}distributed: {', '.join(names) or 'nothing new'}")


def _engines(settings: Settings) -> dict[str, Engine]:
    """Engines that refuse no database, since what it bears is to be looked at or changed here."""
    engines = build_engines(settings)
    for engine in engines.values():
        click.get_current_context().call_on_close(engine.dispose)
    return engines


def _prefix(settings: Settings, name: str) -> str:
    """Before lines about one of several databases."""
    return f"{name}: " if settings.databases else ""


@click.command()
@click.option("--once", is_flag=True, help="One round, for cron.")
def worker(once: bool) -> None:
    """Do what is due: ask providers about open payments, end orders, renew keys."""
    parts = house()
    running = Worker(parts.core, parts.keys.values(), is_current=lambda: map_is_current(parts))
    if once:
        click.echo(f"done: {running.run_once()}")
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop.set())
    running.run()


@click.group()
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
    counts = import_products(parts.core, catalogue)
    click.echo(", ".join(f"{name} {count}" for name, count in counts.items()))
