"""What a request costs the service: server CPU, rate and waiting time, beside doing nothing and beside a plain handler.

    python -m bench.http --quick                     under three minutes on a quiet machine
    python -m bench.http                             all rows, five rounds
    python -m bench.http --rows alipay,order --clients 8 --rounds 9

Three applications under one gunicorn configuration (the service's own, two workers): Tillbook; `plain_handler`, which
is what a team would write instead; a Flask route that does nothing. One PostgreSQL with durable commits. In each round
the three take turns with the same requests, so a busy machine disturbs them alike; figures are medians of the rounds,
ratios are medians of each round's ratio. CPU is user and system time of gunicorn's processes, without the database's.

The notifications are signed as the providers sign, for distinct open orders, before the clock starts.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psycopg

from bench import plain_handler
from bench.served import Served
from tests import databases
from tests.demo import house
from tests.support.coin_shop import PACK_COINS, PACKS, CoinShop, HttpAnswer, HttpRequest
from tests.support.simulated_providers import SimulatedProviders

ANSWER_SECONDS = 30
PLAYERS = [f"player-{number}" for number in range(100)]
SPENDERS = [f"spender-{number}" for number in range(40)]
LARGEST_SPEND = 200
REPEATED = 64
"""Notifications that come again: distinct ones, sent in turn."""
NOTHING_TIMES = 5
"""So many times as many requests to the route that does nothing: it takes so little that few would measure nothing."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One application in one round."""

    cpu_ms: float
    rate: float
    seconds: list[float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    row: str
    clients: int
    cpu_ms: float
    times_nothing: float
    times_plain: float
    rate: float
    rate_of_plain: float
    p50_ms: float
    p99_ms: float
    plain_cpu_ms: float
    nothing_cpu_ms: float


class Load:
    """The process that sends."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"], cwd=house.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def send(self, served: Served, clients: int, requests: list[bytes]) -> Batch:
        """Send each request once, from so many clients."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        texts = [base64.b64encode(request).decode() for request in requests]
        job = json.dumps({"port": served.port, "clients": clients, "requests": texts}) + "\n"
        before = served.cpu_seconds()
        self._process.stdin.write(job.encode())
        self._process.stdin.flush()
        done = json.loads(self._process.stdout.readline())
        spent = served.cpu_seconds() - before
        if done["failed"] or len(done["seconds"]) != len(requests):
            said = f"{done['failed']} of {len(requests)} requests failed: {done['failures']}"
            raise SystemExit(f"{served.name}: {said}\n{served.last_lines()}")
        return Batch(spent / len(requests) * 1000, len(requests) / done["elapsed"], done["seconds"])

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)


@dataclass(slots=True)
class Place:
    """The three applications, the shop that uses Tillbook, and the load."""

    tillbook: Served
    plain: Served
    nothing: Served
    shop: CoinShop
    seed: plain_handler.Seed
    load: Load

    def on_the_wire(self, request: HttpRequest) -> bytes:
        headers = {"Host": "127.0.0.1", **request.headers, "Content-Length": str(len(request.body))}
        lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + request.body

    def ordered(self, account: str, count: int) -> list[HttpRequest]:
        """Notifications that pay so many open orders of the players, which the plain application has, too."""
        paid, rows = [], []
        for user, pack in islice(zip(cycle(PLAYERS), cycle(PACK_COINS), strict=False), count):
            order = self.shop.order(user, account, pack)
            rows.append(plain_handler.open_payment(order | {"product": pack}, user))
            paid.append(self.shop.paid_order_request(order))
        self.seed.payments(rows)
        return paid

    def bought_in_store(self, count: int) -> list[HttpRequest]:
        return [self.shop.store_purchase_request(user) for user in islice(cycle(PLAYERS), count)]

    def sent_to_both(self, requests: list[HttpRequest]) -> None:
        """Before the clock starts."""
        texts = [self.on_the_wire(request) for request in requests]
        for served in (self.tillbook, self.plain):
            self.load.send(served, 4, texts)


Row = Callable[[Place, int], list[HttpRequest]]
"""Makes so many requests of one kind."""


def notifications(account: str) -> Row:
    return lambda place, count: place.ordered(account, count)


def store_notifications(place: Place, count: int) -> list[HttpRequest]:
    return place.bought_in_store(count)


def again(row: Row) -> Row:
    """Those that were applied already."""

    def repeated(place: Place, count: int) -> list[HttpRequest]:
        first = row(place, min(count, REPEATED))
        place.sent_to_both(first)
        return list(islice(cycle(first), count))

    return repeated


def orders(place: Place, count: int) -> list[HttpRequest]:
    return [place.shop.order_request(user) for user in islice(cycle(PLAYERS), count)]


def spends(place: Place, count: int) -> list[HttpRequest]:
    """Of 1 to 200 coins, out of wallets filled with packs of 60 + 6 and 300 + 30 in turn, as much as they need."""
    chance = random.Random(count)
    amounts = [(user, chance.randint(1, LARGEST_SPEND)) for user in islice(cycle(SPENDERS), count)]
    bought: list[HttpRequest] = []
    rows = []
    for user in SPENDERS:
        needed = sum(amount for spender, amount in amounts if spender == user)
        for pack in cycle(PACK_COINS):
            order = place.shop.order(user, "alipay", pack)
            rows.append(plain_handler.open_payment(order | {"product": pack}, user))
            bought.append(place.shop.paid_order_request(order))
            needed -= PACK_COINS[pack]
            if needed <= 0:
                break
    place.seed.payments(rows)
    place.sent_to_both(bought)
    return [place.shop.spend_request(user, amount) for user, amount in amounts]


def of_players(request: Callable[[CoinShop, str], HttpRequest]) -> Row:
    return lambda place, count: [request(place.shop, user) for user in islice(cycle(PLAYERS), count)]


def shown_orders(place: Place, count: int) -> list[HttpRequest]:
    """Paid ones: about an open order the provider would be asked first."""
    paid, rows, shown = [], [], []
    for user in PLAYERS[:REPEATED]:
        order = place.shop.order(user)
        rows.append(plain_handler.open_payment(order | {"product": "pack-60"}, user))
        paid.append(place.shop.paid_order_request(order))
        shown.append(place.shop.one_order_request(user, order["number"]))
    place.seed.payments(rows)
    place.sent_to_both(paid)
    return list(islice(cycle(shown), count))


ROWS: dict[str, Row] = {
    "alipay": notifications("alipay"),
    "wechat-v3": notifications("wechat"),
    "wechat-v2": notifications("wechat-v2"),
    "apple": store_notifications,
    "alipay-again": again(notifications("alipay")),
    "wechat-v3-again": again(notifications("wechat")),
    "wechat-v2-again": again(notifications("wechat-v2")),
    "apple-again": again(store_notifications),
    "order": orders,
    "spend": spends,
    "wallet": of_players(lambda shop, user: shop.wallet_request(user)),
    "statement": of_players(lambda shop, user: shop.statement_request(user)),
    "orders": of_players(lambda shop, user: shop.orders_request(user)),
    "order-shown": shown_orders,
}


# --- set-up ---


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """All parts, running, with players who have bought before."""
    with ExitStack() as stack:
        providers = SimulatedProviders(v2_sign_type="MD5")  # the only one that wechatpy's own reader verifies
        stack.callback(providers.close)
        tills, plains = (stack.enter_context(databases.postgres_database()) for _ in range(2))
        check_durable(tills)
        web, plain, nothing = house.free_ports(3)
        running = house.prepare(folder / "house", web, providers.accounts)
        running.environ |= {"TILLBOOK_DATABASE_URL": tills, "TILLBOOK_DATABASE_DURABLE": "true"}
        for command in (("migrate",), ("products", "import", str(PACKS))):
            done = running.tillbook(*command)
            if done.returncode:
                raise SystemExit(f"tillbook {' '.join(command)}: {done.stderr}")
        seed = plain_handler.Seed(driver_named(plains))
        stack.callback(seed.close)
        config = folder / "plain.json"
        config.write_text(json.dumps(plain_config(running, providers, driver_named(plains))), encoding="utf-8")
        services = (
            Served("tillbook", "wsgi:application", web, running.environ, folder / "tillbook.log"),
            Served(
                "plain",
                "bench.plain_handler:application",
                plain,
                {plain_handler.CONFIG: str(config)},
                folder / "plain.log",
            ),
            Served("nothing", "bench.nothing:application", nothing, {}, folder / "nothing.log"),
        )
        for service in services:
            stack.callback(service.stop)
        for service in services:
            service.wait_until_up()
        load = Load()
        stack.callback(load.stop)
        sender = http.client.HTTPConnection("127.0.0.1", web, timeout=ANSWER_SECONDS)
        stack.callback(sender.close)
        shop = CoinShop(running, providers, lambda request: sent(sender, request))
        made = Place(*services, shop, seed, load)
        seed.users({user: shop.account_token(user) for user in (*PLAYERS, *SPENDERS)})
        made.sent_to_both(made.ordered("alipay", len(PLAYERS)))
        yield made


def sent(sender: http.client.HTTPConnection, request: HttpRequest) -> HttpAnswer:
    """Over a connection that stays open; gunicorn closes one that was idle for five seconds."""
    for last in (False, True):
        try:
            sender.request(request.method, request.path, request.body or None, dict(request.headers))
            answer = sender.getresponse()
            return HttpAnswer(answer.status, answer.read())
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            sender.close()
            if last:
                raise
    raise AssertionError


def driver_named(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def check_durable(url: str) -> None:
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            row = connection.execute(f"SHOW {setting}").fetchone()
            if row is None or row[0] != "on":
                raise SystemExit(f"{setting} is not on: the figures would mean nothing")


def plain_config(running: house.Running, providers: SimulatedProviders, database_url: str) -> dict[str, Any]:
    return {
        **providers.accounts,
        "database_url": database_url,
        "jwt_secret": running.jwt_secret,
        "backend_sha256": hashlib.sha256(running.backend_key.encode()).hexdigest(),
        "notify_url": f"{running.url}/webhooks/alipay",
    }


# --- measuring ---


def measure(place: Place, name: str, clients: list[int], rounds: int, each: int) -> Iterator[Line]:
    """One row at each number of clients."""
    requests = [place.on_the_wire(request) for request in ROWS[name](place, (rounds * len(clients) + 1) * each)]
    nothing = [place.on_the_wire(HttpRequest("GET", "/nothing"))] * (each * NOTHING_TIMES)
    turns = iter(range(0, len(requests), each))

    def turn(clients: int) -> tuple[Batch, Batch, Batch]:
        at = next(turns)
        same = requests[at : at + each]
        return (
            place.load.send(place.nothing, clients, nothing),
            place.load.send(place.plain, clients, same),
            place.load.send(place.tillbook, clients, same),
        )

    turn(clients[-1])  # every thread has its connection, and the connection its prepared statements
    taken = [{number: turn(number) for number in clients} for _ in range(rounds)]
    for number in clients:
        yield line(name, number, [turns[number] for turns in taken])


def line(name: str, clients: int, turns: list[tuple[Batch, Batch, Batch]]) -> Line:
    seconds = sorted(second for _, _, till in turns for second in till.seconds)
    median = statistics.median
    return Line(
        row=name,
        clients=clients,
        cpu_ms=median(till.cpu_ms for _, _, till in turns),
        times_nothing=median(till.cpu_ms / nothing.cpu_ms for nothing, _, till in turns),
        times_plain=median(till.cpu_ms / plain.cpu_ms for _, plain, till in turns),
        rate=median(till.rate for _, _, till in turns),
        rate_of_plain=median(till.rate / plain.rate for _, plain, till in turns),
        p50_ms=seconds[len(seconds) // 2] * 1000,
        p99_ms=seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)] * 1000,
        plain_cpu_ms=median(plain.cpu_ms for _, plain, _ in turns),
        nothing_cpu_ms=median(nothing.cpu_ms for nothing, _, _ in turns),
    )


COLUMNS = (
    "CPU ms",
    "× nothing",
    "× plain",
    "rate/s",
    "rate × plain",
    "p50 ms",
    "p99 ms",
    "plain CPU ms",
    "nothing CPU ms",
)


def show_head() -> None:
    print(f"| row | clients | {' | '.join(COLUMNS)} |\n| --- | ---: |{' ---: |' * len(COLUMNS)}", flush=True)


def show(found: Line) -> None:
    cells = (
        f"{found.cpu_ms:.2f}",
        f"{found.times_nothing:.1f}",
        f"{found.times_plain:.2f}",
        f"{found.rate:.0f}",
        f"{found.rate_of_plain:.2f}",
        f"{found.p50_ms:.1f}",
        f"{found.p99_ms:.1f}",
        f"{found.plain_cpu_ms:.2f}",
        f"{found.nothing_cpu_ms:.2f}",
    )
    print(f"| {found.row} | {found.clients} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three rounds of few requests")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"of {', '.join(ROWS)}")
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--rounds", type=int, help="5; with --quick 3")
    parser.add_argument("--each", type=int, help="requests of an application in a round: 160; with --quick 20")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    given = parser.parse_args()
    rows, clients = given.rows.split(","), [int(number) for number in given.clients.split(",")]
    if unknown := set(rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    rounds, each = given.rounds or (3 if given.quick else 5), given.each or (20 if given.quick else 160)
    started, lines = time.monotonic(), list[Line]()
    with tempfile.TemporaryDirectory() as folder, place(Path(folder)) as ready:
        print(
            f"gunicorn with 2 workers on {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; {rounds} rounds"
        )
        show_head()
        for name in rows:
            for found in measure(ready, name, clients, rounds, each):
                lines.append(found)
                show(found)
    print(f"{time.monotonic() - started:.0f} s")
    if given.json:
        given.json.write_text(json.dumps([asdict(found) for found in lines], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
