"""`python -m tests.demo.chaos [SECONDS] [two]`: the service, its worker and a receiving backend are killed again and
again; with `two`, so is each of two PostgreSQL servers that share the slots.

Users buy, spend, give and are granted coins meanwhile; whoever gets no answer repeats the request with its key. At the
end the receiver's own books, made from events alone, must say what the wallets say, every event of the feed must be
applied, and the audit must be balanced. Real processes over HTTP, on SQLite or two servers, five minutes if not told
otherwise.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
import structlog

from examples.receiving_backend.receiver import Books
from tests.demo import house, simulators
from tests.demo.patience import wait_for
from tests.demo.people import press_pay, say
from tests.demo.play import CATALOGUE
from tests.support.own_server import Server, own_server

SECONDS = 300.0
USERS, USERS_OF_TWO = 12, 200
HANDS = 3
"""Threads that send requests."""
TRIES = 200
PAUSE_SECONDS = 0.3
LONGEST_UPTIME_SECONDS = 5.0
LONGEST_DOWNTIME_SECONDS = 2.0
NAMES = ("web", "worker", "receiver")
SHARES = {"first": "0-2047", "second": "2048-4095"}


class Chaos:
    """A Tillbook whose processes die, and users who do not care."""

    def __init__(self, running: house.Running, receiver_port: int, servers: Mapping[str, Server]) -> None:
        self.running = running
        self.servers = servers
        self.users = USERS_OF_TWO if servers else USERS
        self.port = receiver_port
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.secret = ""
        self.kills: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.over = threading.Event()

    # --- processes ---

    def start(self, name: str) -> None:
        if name in self.servers:
            self.servers[name].start()
            return
        if name == "web":
            self.running.start("web", "gunicorn", "-c", "python:app.serving", "wsgi:application")
        elif name == "worker":
            self.running.start("worker", "tillbook", "worker")
        else:
            self.running.receive(self.port, self.secret)
        self.processes[name] = self.running.processes[-1]

    def kill(self, name: str) -> None:
        self.kills[name] += 1
        if name in self.servers:
            self.servers[name].kill()
            return
        process = self.processes[name]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.running.processes.remove(process)

    def kill_on(self, ends: float) -> None:
        """One of them is killed, and started again a moment later, until the time is over."""
        while time.monotonic() < ends:
            time.sleep(random.uniform(0.2, LONGEST_UPTIME_SECONDS))
            name = random.choice([*NAMES, *self.servers])
            self.kill(name)
            time.sleep(random.uniform(0, LONGEST_DOWNTIME_SECONDS))
            self.start(name)

    # --- users ---

    def ask(self, method: str, path: str, key: str, **given: Any) -> Any:
        """Ask until there is an answer that is not the service's trouble; None for a definite no."""
        headers = {"Authorization": f"Bearer {self.running.backend_key}", "Idempotency-Key": key}
        for _ in range(TRIES):
            try:
                answer = requests.request(method, self.running.url + path, headers=headers, timeout=30, **given)
            except requests.RequestException:
                time.sleep(PAUSE_SECONDS)
                continue
            if answer.status_code < 500 and answer.status_code != 429:
                return answer.json() if answer.ok else None
            time.sleep(PAUSE_SECONDS)
        raise SystemExit(f"no answer to {method} {path} in {TRIES} tries")

    def live(self, hand: int) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            key, user = f"h{hand}-{number}", f"user-{random.randrange(self.users)}"
            about = {"user": user, "asset": "coin", "environment": "sandbox"}
            what = random.choice(("order", "order", "spend", "spend", "spend", "gift", "grant"))
            if what == "order":
                body = {"user": user, "product": "coins-60", "provider_account": "alipay", "way": "page"}
                order = self.ask("POST", "/v1/orders", key, json=body)
                if order is not None:
                    with contextlib.suppress(requests.RequestException):
                        press_pay(order["payments"][0]["action"]["url"])
            elif what == "spend":
                self.ask("POST", "/v1/spends", key, json={**about, "amount": random.randint(1, 30)})
            elif what == "gift":
                gift = {**about, "receiver": f"user-{random.randrange(self.users)}", "amount": random.randint(1, 9)}
                self.ask("POST", "/v1/gifts", key, json=gift)
            else:
                self.ask("POST", "/v1/grants", key, json={**about, "amount": 5, "reason": "a prize"})
            self.done[what] += 1

    # --- the end ---

    def wallet(self, user: str) -> int:
        found = self.ask("GET", "/v1/wallet", "-", params={"user": user})
        return sum(int(entry["balance"]) for entry in found["balances"] if entry["asset"] == "coin")

    def told(self) -> int:
        """How many events the feed has."""
        count, after = 0, None
        while True:
            query = {"limit": "200", **({"after": after} if after else {})}
            page = self.ask("GET", "/v1/events", "-", params=query)
            count, after = count + len(page["events"]), page["next"]
            if not page["more"]:
                return count

    def agree(self, books: Books) -> bool:
        users = [f"user-{number}" for number in range(self.users)]
        return books.applied() == self.told() and all(books.balance(user) == self.wallet(user) for user in users)


def run(chaos: Chaos, seconds: float) -> bool:
    endpoint = {"name": "game", "url": f"http://127.0.0.1:{chaos.port}/tillbook"}
    chaos.start("web")
    chaos.start("worker")
    chaos.secret = chaos.ask("POST", "/v1/endpoints", "endpoint", json=endpoint)["secret"]
    chaos.start("receiver")
    hands = [threading.Thread(target=chaos.live, args=(hand,)) for hand in range(HANDS)]
    for hand in hands:
        hand.start()
    chaos.kill_on(time.monotonic() + seconds)
    chaos.over.set()
    for hand in hands:
        hand.join()
    say(f"done: {dict(chaos.done)}; killed: {dict(chaos.kills)}")
    books, begun = Books(chaos.running.books_of_receiver), time.monotonic()
    wait_for("the receiver's books to agree with the wallets", lambda: chaos.agree(books), seconds=900)
    took = time.monotonic() - begun
    say(f"{took:.0f} s later the receiver has applied {books.applied()} events, each once; its books are the wallets'")
    audit = chaos.running.tillbook("audit", "--quiet")
    say(audit.stdout.strip() or audit.stderr.strip())
    return audit.returncode == 0


def main() -> None:
    os.environ["TILLBOOK_ENV"] = "demo"
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    web, alipay, wechat, apple, receiver = house.free_ports(5)
    ports = {"alipay": alipay, "wechat": wechat, "apple": apple}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        chaos = Path(folder) / "chaos"
        providers = simulators.start(ports, f"http://127.0.0.1:{web}", house.empty(chaos))
        servers = {name: stack.enter_context(own_server()) for name in (SHARES if "two" in sys.argv else ())}
        shared = [{"name": name, "slots": SHARES[name], "url": server.url} for name, server in servers.items()]
        running = house.prepare(chaos, web, providers.accounts, databases=shared)
        try:
            for command in (("migrate",), ("products", "import", str(CATALOGUE))):
                if running.tillbook(*command).returncode:
                    raise SystemExit(f"tillbook {' '.join(command)} failed")
            good = run(Chaos(running, receiver, servers), seconds)
        finally:
            running.stop()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
