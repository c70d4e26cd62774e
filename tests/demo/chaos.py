"""`python -m tests.demo.chaos [SECONDS] [two] [moves] [calm]`: the service, its worker and a receiving backend are
killed again and again; with `two`, so is each of two PostgreSQL servers that share the slots; with `moves`, slots go
from one of those to the other meanwhile, and their mover is killed, too. With `calm` nothing is killed.

Users buy, spend, give and are granted coins meanwhile; whoever gets no answer repeats the request with its key. At the
end the receiver's own books, made from events alone, must say what the wallets say, every event of the feed must be
applied, and the audit must be balanced. Real processes over HTTP, on SQLite or two servers, five minutes if not told
otherwise.
"""

from __future__ import annotations

import contextlib
import json
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

from app.domain.numbers import SLOTS, slot_of_user
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
MOVED_AT_ONCE = 256
"""Slots."""
LONGEST_MOVE_SECONDS = 30.0
"""Then the mover is killed, if it is to be."""
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
        self.moving = range(0)
        """The slots that are on their way, or were last."""
        self.frozen: list[tuple[float, str]] = []
        """When which user was told to come again because of a move."""
        self.strays: list[str] = []
        """What was answered so and should not have been."""

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

    def move_on(self, *, killed: bool) -> None:
        """Slots are moved to the other server, and the next ones after them, until all is over. What a killed mover had
        begun is ended by the next one."""
        while not self.over.is_set():
            first, target = random.randrange(1, SLOTS - MOVED_AT_ONCE), random.choice(list(self.servers))
            moving = range(first, first + MOVED_AT_ONCE)
            words = f"{first}-{moving[-1]}", "--to", target, "--at-once", str(MOVED_AT_ONCE), "--resume"
            self.moving = moving
            while self._mover_fails(words, random.uniform(0, LONGEST_MOVE_SECONDS) if killed else None):
                time.sleep(PAUSE_SECONDS)
            self.done["move"] += 1

    def _mover_fails(self, words: tuple[str, ...], dies_after: float | None) -> bool:
        """One run of the command. It is killed if it is not done in time, and fails where a server is down."""
        if self.over.is_set():
            dies_after = None
        self.running.start("mover", "tillbook", "slots", "move", *words)
        mover = self.running.processes.pop()
        try:
            return mover.wait(timeout=dies_after) != 0
        except subprocess.TimeoutExpired:
            mover.kill()
            mover.wait()
            self.kills["mover"] += 1
            return True

    def _frozen(self, answer: requests.Response, concerned: set[str]) -> None:
        """Only who has to do with slots on their way may be told so."""
        if answer.status_code != 503 or answer.json().get("code") != "slots_frozen":
            return
        named = [user for user in concerned if slot_of_user(user) in self.moving]
        if answer.request.path_url.startswith("/v1/events") or not concerned:
            return
        self.frozen += [(time.monotonic(), user) for user in named]
        if not named or "Retry-After" not in answer.headers:
            self.strays.append(f"{answer.request.method} {answer.request.path_url} {concerned} {answer.text}")

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
            about = given.get("json") or given.get("params") or {}
            self._frozen(answer, {about[name] for name in ("user", "receiver") if name in about})
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


def longest_freezes(frozen: list[tuple[float, str]], gap: float) -> list[float]:
    """How long users were told to come again, the longest first; after `gap` seconds without, it is another time."""
    found: dict[str, list[list[float]]] = {}
    for at, user in frozen:
        times = found.setdefault(user, [])
        if times and at - times[-1][1] < gap:
            times[-1][1] = at
        else:
            times.append([at, at])
    return sorted((last - first for times in found.values() for first, last in times), reverse=True)


def run(chaos: Chaos, seconds: float, *, moves: bool, calm: bool) -> bool:
    endpoint = {"name": "game", "url": f"http://127.0.0.1:{chaos.port}/tillbook"}
    chaos.start("web")
    chaos.start("worker")
    chaos.secret = chaos.ask("POST", "/v1/endpoints", "endpoint", json=endpoint)["secret"]
    chaos.start("receiver")
    hands = [threading.Thread(target=chaos.live, args=(hand,)) for hand in range(HANDS)]
    if moves:
        hands.append(threading.Thread(target=chaos.move_on, kwargs={"killed": not calm}))
    for hand in hands:
        hand.start()
    if calm:
        time.sleep(seconds)
    else:
        chaos.kill_on(time.monotonic() + seconds)
    chaos.over.set()
    for hand in hands:
        hand.join()
    say(f"done: {dict(chaos.done)}; killed: {dict(chaos.kills)}")
    if moves:
        longest = longest_freezes(chaos.frozen, gap=10)
        say(f"{len(longest)} times a user was told to come again, for {max(longest, default=0):.1f} s at the most")
        for stray in chaos.strays[:5]:
            say(f"NOT FROZEN, and told so: {stray}")
    books, begun = Books(chaos.running.books_of_receiver), time.monotonic()
    wait_for("the receiver's books to agree with the wallets", lambda: chaos.agree(books), seconds=900)
    took = time.monotonic() - begun
    say(f"{took:.0f} s later the receiver has applied {books.applied()} events, each once; its books are the wallets'")
    audit = chaos.running.tillbook("audit", "--quiet")
    say(audit.stdout.strip() or audit.stderr.strip())
    return audit.returncode == 0 and not chaos.strays


def main() -> None:
    os.environ["TILLBOOK_ENV"] = "demo"
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    web, alipay, wechat, apple, receiver = house.free_ports(5)
    ports = {"alipay": alipay, "wechat": wechat, "apple": apple}
    moves = "moves" in sys.argv
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        chaos = Path(folder) / "chaos"
        providers = simulators.start(ports, f"http://127.0.0.1:{web}", house.empty(chaos))
        servers = {name: stack.enter_context(own_server()) for name in (SHARES if moves or "two" in sys.argv else ())}
        shared = [{"name": name, "slots": SHARES[name], "url": server.url} for name, server in servers.items()]
        running = house.prepare(chaos, web, providers.accounts, databases=shared)
        try:
            for command in (("migrate",), ("products", "import", str(CATALOGUE))):
                if running.tillbook(*command).returncode:
                    raise SystemExit(f"tillbook {' '.join(command)} failed")
            if moves:  # from now on they lie as the databases say
                running.environ["TILLBOOK_DATABASES"] = json.dumps([{**one, "slots": None} for one in shared])
            good = run(Chaos(running, receiver, servers), seconds, moves=moves, calm="calm" in sys.argv)
        finally:
            running.stop()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
