"""Where requests are measured: the three applications, the databases, the shop that uses them, and the load."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psycopg

from bench import plain_handler, plain_rows
from bench.served import Served
from tests.demo import house
from tests.support import databases
from tests.support.coin_shop import PACK_COINS, PACKS, CoinShop, HttpAnswer, HttpRequest
from tests.support.simulated_providers import SimulatedProviders

ANSWER_SECONDS = 30
PLAYERS = [f"player-{number}" for number in range(100)]
SPENDERS = [f"spender-{number}" for number in range(40)]
FOR_FEW_PLAYERS = {
    "TILLBOOK_USER_REQUESTS_PER_MINUTE": "0",
    "TILLBOOK_MOST_STARTS_PER_MINUTE": "1000",
    "TILLBOOK_MOST_OPEN_ORDERS": "1000",
}
"""A hundred players do the work of all."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One application in one round."""

    cpu_ms: float
    rate: float
    seconds: list[float]


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
    seed: plain_rows.Seed
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
            rows.append(plain_rows.open_payment(order | {"product": pack}, user))
            paid.append(self.shop.paid_order_request(order))
        self.seed.payments(rows)
        return paid

    def bought_in_store(self, count: int) -> list[HttpRequest]:
        return [self.shop.store_purchase_request(user) for user in islice(cycle(PLAYERS), count)]

    def check_coins(self) -> None:
        """The two applications credited and spent alike; an answer of success alone would not show that."""
        users = (*PLAYERS, *SPENDERS)
        ours, theirs = sum(map(self.shop.coins, users)), self.seed.coins(users)
        if ours != theirs:
            raise SystemExit(f"Tillbook's wallets hold {ours} coins, the plain application's {theirs}")

    def sent_to_both(self, requests: list[HttpRequest]) -> None:
        """Before the clock starts."""
        texts = [self.on_the_wire(request) for request in requests]
        for served in (self.tillbook, self.plain):
            self.load.send(served, 4, texts)


@contextmanager
def prepared_place(folder: Path) -> Iterator[Place]:
    """All parts, running, with players who have bought before."""
    with ExitStack() as stack:
        providers = SimulatedProviders(v2_sign_type="MD5")  # the only one that wechatpy's own reader verifies
        stack.callback(providers.close)
        databases.wait_for_the_disk()
        tills, plains = (stack.enter_context(databases.postgres_database()) for _ in range(2))
        check_durable(tills)
        web, plain, nothing = house.free_ports(3)
        running = house.prepare(folder / "house", web, providers.accounts)
        running.environ |= {"TILLBOOK_DATABASE_URL": tills, "TILLBOOK_DATABASE_DURABLE": "true"}
        running.environ |= FOR_FEW_PLAYERS
        for command in (("migrate",), ("products", "import", str(PACKS))):
            done = running.tillbook(*command)
            if done.returncode:
                raise SystemExit(f"tillbook {' '.join(command)}: {done.stderr}")
        seed = plain_rows.Seed(driver_named(plains))
        stack.callback(seed.close)
        config = folder / "plain.json"
        config.write_text(json.dumps(plain_config(running, providers, driver_named(plains))), encoding="utf-8")
        # Gunicorn's configuration reads the service's settings, so the others get them, too.
        environ = {**running.environ, plain_handler.CONFIG: str(config)}
        services = (
            Served("tillbook", "wsgi:application", web, environ, folder / "tillbook.log"),
            Served("plain", "bench.plain_handler:application", plain, environ, folder / "plain.log"),
            Served("nothing", "bench.nothing:application", nothing, environ, folder / "nothing.log"),
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
