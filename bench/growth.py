"""Whether the service slows down as its books grow, and what an order takes on disk: `python -m bench.growth`.

    python -m bench.growth --orders 10000,1000000
    python -m bench.growth --orders 1000 --bytes      only the bytes
    python -m bench.growth --orders 10000 --indexes   the bytes of each index, too

Some hundred orders are made and paid through the service, in process, with credits, spends and events. The database is
then copied once for each size, and its users are multiplied in SQL. Each kind of request is timed for the first users,
whose own rows are as many at each size; the sizes take turns, so that a busy machine disturbs them alike. **CPU** is
that of this process; **wall** holds the database's time, too.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import psycopg
from sqlalchemy import Engine, text
from sqlalchemy.pool import QueuePool

from app.worker import Worker
from bench.growth_rows import Weight, multiply, weigh, weigh_indexes, weigh_words
from tests.conftest import create_schema
from tests.support import databases
from tests.support.coin_shop import CoinShop, HttpRequest
from tests.support.flows import Installation, installation

USERS = 200
ACCOUNTS = ("alipay", "wechat", "apple")
"""Each user buys once at each."""
SPENDS = (10, 100)
"""What each user spends then: of one lot, and of several."""
ROUNDS = 60
"""How often each kind of request is timed at each size."""
PAGE_ROUNDS = 9
"""How often the pages of each kind of request are counted."""
IDLE_SECONDS = 30.0
BY_AGE = frozenset({"events", "provider_calls"})
"""Tables whose rows the worker deletes when they are old."""
WANTED_RATIO = 1.2
"""A kind of request that takes so many times as long as at the smallest size is marked."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of one request."""

    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Size:
    """A database with so many paid orders."""

    orders: int
    url: str
    place: Installation


def user_name(number: int) -> str:
    return f"grower-{number}"


# --- making the databases ---


def make_users(place: Installation) -> None:
    """Users whose orders are paid, credited and told, and who have spent some of their coins."""
    shop, worker = place.shop, Worker(place.app.extensions["tillbook"])
    for number in range(USERS):
        user = user_name(number)
        for account in ACCOUNTS:
            if account == "apple":
                shop.done(shop.store_purchase_request(user))
            else:
                shop.bought(user, account)
        for amount in SPENDS:
            shop.done(shop.spend_request(user, amount))
    while worker.run_once():
        pass


def grow(url: str, orders: int, taken: timedelta) -> None:
    """Multiply the users until there are so many orders."""
    copies = max(0, -(-orders // (USERS * len(ACCOUNTS))) - 1)
    begun, told = time.monotonic(), 0.0
    with psycopg.connect(url, autocommit=True) as connection:
        for done in multiply(connection, copies, taken):
            if time.monotonic() - told > 30:
                told = time.monotonic()
                print(f"{orders:,} orders: {done} of {copies} copies, {told - begun:.0f} s", flush=True)
        connection.execute("RESET session_replication_role")
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def go_on_selling(place: Installation) -> None:
    """Each installation has a store of its own, whose numbers begin anew: those that the copied books know already are
    left out, or a purchase would be a repetition. Raises RuntimeError if one of the ways to pay gives no coins."""
    shop, at = place.shop, USERS - 1  # the keys of the first user's requests are taken
    user = user_name(at)
    for _ in range(USERS):
        shop.store_purchase_request(user)
    for name, request in islice(requests_of(shop, at), len(ACCOUNTS)):
        before = shop.coins(user)
        shop.done(request)
        if shop.coins(user) == before:
            raise RuntimeError(f"no coins came of: {name}")


# --- timing ---


def timed(work: Callable[[], object]) -> Taken:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Taken(time.process_time() - cpu, time.perf_counter() - wall)


def requests_of(shop: CoinShop, at: int) -> Iterator[tuple[str, HttpRequest]]:
    """One of each kind for the user whose turn it is; what a request needs is done before it is given."""
    user = user_name(at % USERS)
    for account in ("alipay", "wechat"):
        yield f"notification, {account}", shop.paid_order_request(shop.order(user, account))
    yield "notification, apple", shop.store_purchase_request(user)
    yield "order", shop.order_request(user)
    yield "spend, one lot", shop.spend_request(user, 1)
    yield "spend, several lots", shop.spend_request(user, 130)
    yield "wallet", shop.wallet_request(user)
    yield "statement", shop.statement_request(user)
    yield "list of orders", shop.orders_request(user)
    number = shop.done(shop.orders_request(user)).json()["orders"][-1]["number"]
    yield "timeline", shop.timeline_request(number)


def time_requests(sizes: Sequence[Size], rounds: int) -> dict[str, list[list[Taken]]]:
    """For each kind of request what it took, by size. Some rounds come before, for what is done once."""
    found: dict[str, list[list[Taken]]] = {}
    for at in range(-5, rounds):
        for place, size in enumerate(sizes):
            for name, request in requests_of(size.place.shop, at):
                taken = timed(partial(size.place.shop.done, request))
                if at >= 0:
                    found.setdefault(name, [[] for _ in sizes])[place].append(taken)
    return found


def pages_of_requests(size: Size, rounds: int) -> dict[str, float]:
    """How many pages of tables and indexes the database looks at for one request of each kind, whether they are in
    memory or not: a number that no busy machine changes."""
    found: dict[str, list[int]] = {}
    engine: Engine = size.place.app.extensions["tillbook"].databases.home.kw["bind"]
    with psycopg.connect(size.url, autocommit=True) as reader:
        for at in range(rounds):
            for name, request in requests_of(size.place.shop, at):
                before = _pages(engine, reader)
                size.place.shop.done(request)
                found.setdefault(name, []).append(_pages(engine, reader) - before)
    return {name: statistics.median(several) for name, several in found.items()}


def _pages(engine: Engine, reader: psycopg.Connection[tuple[Any, ...]]) -> int:
    """The pages looked at in this database so far. Each connection of the service says its counts first, which it would
    keep for up to ten seconds."""
    with ExitStack() as stack:
        for _ in range(max(1, cast(QueuePool, engine.pool).checkedin())):
            stack.enter_context(engine.connect()).execute(text("SELECT pg_stat_force_next_flush()"))
    (row,) = reader.execute(
        "SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit) FROM pg_statio_user_tables"
    ).fetchall()
    return int(row[0])


def idle_share(size: Size, seconds: float) -> tuple[float, float]:
    """The shares of a core that a worker takes which has nothing to do: of this process, and of its database."""
    worker = Worker(size.place.app.extensions["tillbook"])
    while worker.run_once():
        pass
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        time.sleep(3)  # every lane has looked once
        with psycopg.connect(size.url, autocommit=True) as connection:
            pids = [
                row[0]
                for row in connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            ]
            cpu, of_server = time.process_time(), sum(map(_cpu_of, pids))
            time.sleep(seconds)
            return (time.process_time() - cpu) / seconds, (sum(map(_cpu_of, pids)) - of_server) / seconds
    finally:
        worker.stop.set()
        thread.join()


def _cpu_of(pid: int) -> float:
    """Seconds that a process has had a core; 0 for one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


# --- what it says ---


def show_times(sizes: Sequence[Size], found: dict[str, list[list[Taken]]]) -> None:
    heads = [f"{size.orders:,}: CPU ms | wall ms | × CPU | × wall" for size in sizes]
    print(f"\n| request | {' | '.join(heads)} |\n| --- |{' ---: |' * 4 * len(sizes)}")
    for name, by_size in found.items():
        cells = []
        for several in by_size:
            now, first = median(several), median(by_size[0])
            cells += [
                f"{now.cpu * 1e3:.2f}",
                f"{now.wall * 1e3:.2f}",
                _ratio(now.cpu, first.cpu),
                _ratio(now.wall, first.wall),
            ]
        print(f"| {name} | {' | '.join(cells)} |")


def show_pages(sizes: Sequence[Size], pages: Sequence[dict[str, float]]) -> None:
    heads = " | ".join(f"{size.orders:,}: pages | ×" for size in sizes)
    print(f"\n| request | {heads} |\n| --- |{' ---: |' * 2 * len(sizes)}")
    for name, first in pages[0].items():
        cells = [f"{each[name]:.0f} | {_ratio(each[name], first)}" for each in pages]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def median(several: Sequence[Taken]) -> Taken:
    return Taken(statistics.median(one.cpu for one in several), statistics.median(one.wall for one in several))


def _ratio(now: float, first: float) -> str:
    ratio = now / first
    return f"**{ratio:.2f}**" if ratio > WANTED_RATIO else f"{ratio:.2f}"


def show_weights(orders: int, weights: Sequence[Weight], words: int) -> None:
    print(
        f"\n| table, {orders:,} paid orders | rows an order | bytes an order | of these indexes |\n"
        "| --- | ---: | ---: | ---: |"
    )
    for weight in weights:
        bytes_each = (weight.heap + weight.indexes) / orders
        if bytes_each >= 1:
            print(f"| {weight.table} | {weight.rows / orders:.2f} | {bytes_each:.0f} | {weight.indexes / orders:.0f} |")
    stays = [weight for weight in weights if weight.table not in BY_AGE]
    for what, some, less in (
        ("all", weights, 0),
        (f"without what goes by its age ({', '.join(sorted(BY_AGE))})", stays, 0),
        ("and without the provider's words, which can be archived", stays, words),
    ):
        heap, indexes = sum(weight.heap for weight in some), sum(weight.indexes for weight in some)
        print(f"| **{what}** | | **{(heap + indexes - less) / orders:.0f}** | **{indexes / orders:.0f}** |", flush=True)


@contextmanager
def grown(sizes: Sequence[int], folder: Path) -> Iterator[list[tuple[int, str]]]:
    """A database for each number of orders, dropped afterwards."""
    with ExitStack() as stack:
        template = databases.new_database()
        stack.callback(databases.drop_database, template)
        url = databases.url_of(template)
        create_schema(url)
        begun = time.monotonic()
        with installation(url, folder / "first") as place:
            make_users(place)
        taken = timedelta(seconds=time.monotonic() - begun)
        made = []
        for orders in sizes:
            name = databases.new_database(template)
            stack.callback(databases.drop_database, name)
            made.append((orders, databases.url_of(name)))
            grow(databases.url_of(name), orders, taken)
        yield made


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--orders", default="10000,1000000", help="paid orders, the smallest first")
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS)
    options.add_argument("--bytes", action="store_true", help="weigh the tables, time nothing")
    options.add_argument("--indexes", action="store_true", help="weigh each index, too")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as named, ExitStack() as stack:
        folder = Path(named)
        made = stack.enter_context(grown([int(one) for one in asked.orders.split(",")], folder))
        for orders, url in made:
            with psycopg.connect(url, autocommit=True) as connection:
                show_weights(orders, weigh(connection), weigh_words(connection))
                for name, size in weigh_indexes(connection) if asked.indexes else ():
                    print(f"{name}: {size / orders:.0f}")
        if asked.bytes:
            return
        sizes = [
            Size(orders, url, stack.enter_context(installation(url, folder / str(orders)))) for orders, url in made
        ]
        for size in sizes:
            go_on_selling(size.place)
        show_times(sizes, time_requests(sizes, asked.rounds))
        show_pages(sizes, [pages_of_requests(size, PAGE_ROUNDS) for size in sizes])
        print("\n| orders | idle worker, share of a core | its database's |\n| ---: | ---: | ---: |")
        for size in sizes:
            worker, server = idle_share(size, asked.idle_seconds)
            print(f"| {size.orders:,} | {worker:.2%} | {server:.2%} |", flush=True)


if __name__ == "__main__":
    main()
