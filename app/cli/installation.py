"""The subcommands that make an installation run: the schema, the catalogue, the worker."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from app.cli.house import house
from app.composition import build_engine
from app.config import load
from app.models import schema
from app.models.distribution import FEWEST_SHARDS, MOST_SHARDS, USUAL_SHARDS, distribute_in, is_cluster
from app.services.accounts.catalog import BadCatalogue, import_products, parse_catalogue
from app.worker import Worker


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    engine = build_engine(load())
    click.get_current_context().call_on_close(engine.dispose)
    click.echo(f"schema: {schema.migrate(engine)}")


@click.command()
@click.option("--shards", type=click.IntRange(FEWEST_SHARDS, MOST_SHARDS), default=USUAL_SHARDS, show_default=True)
def distribute(shards: int) -> None:
    """Spread the tables over the nodes of a Citus cluster, by slot; `migrate` does so too, with 64 shards.

    Repeating it changes nothing, and on any other database there is nothing to do.
    """
    engine = build_engine(load())
    click.get_current_context().call_on_close(engine.dispose)
    with engine.begin() as connection:
        if not is_cluster(connection):
            click.echo("the database is no cluster: nothing to distribute")
            return
        names = distribute_in(connection, shards)
    click.echo(f"distributed: {', '.join(names) or 'nothing new'}")


@click.command()
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
