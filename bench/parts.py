"""Where the CPU time of one kind of request goes, by part of the program.

    python -m bench.parts                           an Alipay notification of a known user, on PostgreSQL
    python -m bench.parts --row order --requests 500

Samples the running process every few milliseconds of CPU time and asks which file it is in; a frame of the standard
library counts for whoever called it. Sampling costs nothing between samples, so it does not make small functions look
dear, as a profiler does. The test client that stands in for gunicorn is left out.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from types import FrameType

from app import logs
from bench.walk import empty_database
from tests.support.coin_shop import PACK_COINS, CoinShop, HttpRequest
from tests.support.flows import installation

EVERY_SECONDS = 0.001
"""Of CPU time. Linux samples no more often than its clock ticks, each 4 or 10 ms."""
PLAYERS = [f"player-{number}" for number in range(100)]
"""So many that nobody starts more payments within a minute than a user may."""
WARM = 60
TEST_CLIENT = "test client"
PARTS: tuple[tuple[str, str], ...] = (
    ("/werkzeug/test.py", TEST_CLIENT),
    ("/tests/support/", TEST_CLIENT),
    ("/bench/parts.py", TEST_CLIENT),
    ("/sqlalchemy/", "SQLAlchemy"),
    ("/flask_sqlalchemy/", "SQLAlchemy"),
    ("/psycopg", "psycopg"),
    ("/app/logs.py", "log line"),
    ("/structlog/", "log line"),
    ("/site-packages/cryptography/", "signatures"),
    ("/Cryptodome/", "signatures"),
    ("/site-packages/alipay/", "signatures"),
    ("/site-packages/jwt/", "signatures"),
    ("/plugins/", "plugin: verify and read, or sign"),
    ("/app/web/", "our web layer"),
    ("/app/services/base/wire.py", "the wire: statements over libpq, and waiting there"),
    ("/app/services/ledger/", "our ledger"),
    ("/app/services/", "our other services"),
    ("/app/models/", "our rows and engine"),
    ("/app/domain/", "our rules"),
    ("/app/providers/", "our port"),
    ("/app/", "our composition"),
    ("/pydantic", "Flask, werkzeug, APIFlask, pydantic"),
    ("/apiflask/", "Flask, werkzeug, APIFlask, pydantic"),
    ("/flask/", "Flask, werkzeug, APIFlask, pydantic"),
    ("/werkzeug/", "Flask, werkzeug, APIFlask, pydantic"),
)
"""Parts of file names, the first that fits."""

Prepare = Callable[[CoinShop, str, str], HttpRequest]
ROWS: dict[str, Prepare] = {
    "alipay": lambda shop, user, pack: shop.paid_order_request(shop.order(user, "alipay", pack)),
    "wechat-v3": lambda shop, user, pack: shop.paid_order_request(shop.order(user, "wechat", pack)),
    "wechat-v2": lambda shop, user, pack: shop.paid_order_request(shop.order(user, "wechat-v2", pack)),
    "apple": lambda shop, user, pack: shop.store_purchase_request(user, pack),
    "order": lambda shop, user, pack: shop.order_request(user, "alipay", pack),
    "wallet": lambda shop, user, pack: shop.wallet_request(user),
    "statement": lambda shop, user, pack: shop.statement_request(user),
    "orders": lambda shop, user, pack: shop.orders_request(user),
}


def part_of(frame: FrameType | None) -> str:
    """The part whose file is the innermost that has one."""
    while frame is not None:
        name = frame.f_code.co_filename
        for piece, part in PARTS:
            if piece in name:
                return part
        frame = frame.f_back
    return TEST_CLIENT


def sampled(work: Callable[[], None]) -> tuple[Counter[str], float]:
    """Samples by part, and the CPU seconds that it took."""
    samples: Counter[str] = Counter()

    def hear(_: int, frame: FrameType | None) -> None:
        samples[part_of(frame)] += 1

    before = signal.signal(signal.SIGPROF, hear)
    started = time.thread_time()
    signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)
    try:
        work()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return samples, time.thread_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", choices=list(ROWS), default="alipay")
    parser.add_argument("--requests", type=int, default=1500)
    given = parser.parse_args()
    table = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # log lines are written, and nobody reads them
    with (
        tempfile.TemporaryDirectory() as folder,
        empty_database("postgresql", Path(folder)) as url,
        installation(url, Path(folder)) as place,
    ):
        logs.configure()
        shop = place.shop
        buyers = zip(cycle(PLAYERS), cycle(PACK_COINS), strict=False)
        for user in PLAYERS:
            shop.bought(user)
        requests = [ROWS[given.row](shop, user, pack) for user, pack in islice(buyers, given.requests + WARM)]
        for request in requests[:WARM]:
            shop.done(request)

        def work() -> None:
            for request in requests[WARM:]:
                shop.done(request)

        samples, seconds = sampled(work)
    taken = sum(samples.values())
    ours = taken - samples.pop(TEST_CLIENT, 0)
    each = seconds * ours / taken / given.requests
    print(f"{given.row}: {each * 1e6:.0f} µs of CPU for each of {given.requests} ({ours} samples)\n", file=table)
    print("| part | share | µs |\n| --- | ---: | ---: |", file=table)
    for part, count in samples.most_common():
        print(f"| {part} | {count / ours:.0%} | {each * 1e6 * count / ours:.0f} |", file=table)
    table.flush()


if __name__ == "__main__":
    main()
