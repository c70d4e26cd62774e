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
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.http_rows import ROWS
from bench.place import Batch, Place, prepared_place
from tests.support.coin_shop import HttpRequest

NOTHING_TIMES = 5
"""So many times as many requests to the route that does nothing: it takes so little that few would measure nothing."""


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
    place.check_coins()
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
    with tempfile.TemporaryDirectory() as folder, prepared_place(Path(folder)) as ready:
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
