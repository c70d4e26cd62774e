"""What the simulators of all providers share: faults on demand, deliveries with a retry rule, and a refusal to run in
production. The protocol itself (routes, signatures, words) is each plugin's own.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

import requests

from app.providers.facts import Message, Reply

SEND_SECONDS = 5.0


class NotInProduction(RuntimeError):
    """A simulator was asked to run where real money is. Set TILLBOOK_ENV to something else, or leave it alone."""


def refuse_production(environ: Mapping[str, str] | None = None) -> None:
    """Raise NotInProduction unless TILLBOOK_ENV says `demo`, `development` or `test` (unset counts as production)."""
    value = (os.environ if environ is None else environ).get("TILLBOOK_ENV", "production").strip().lower()
    if value not in {"demo", "development", "test"}:
        raise NotInProduction(f"a simulator does not run with TILLBOOK_ENV={value!r}")


@dataclass
class Faults:
    """How often each thing still goes wrong; a test or the demo sets the counters, each use takes one off.

    Notifications: `lose`, `repeat` (sent again that many extra times), `delay` (seconds for the next), `reorder`
    (held back behind the next one), `corrupt` (one byte changed), `forge` (signed with a key that is not the
    provider's). Calls: `timeout_before` (nothing done, no answer), `timeout_after` (done, no answer), `garbage`,
    `error500`.
    """

    lose: int = 0
    repeat: int = 0
    delay: float = 0.0
    reorder: int = 0
    corrupt: int = 0
    forge: int = 0
    timeout_before: int = 0
    timeout_after: int = 0
    garbage: int = 0
    error500: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def set(self, **counters: float) -> None:
        """Set some of the counters. Raises ValueError for a fault that there is not, or for what is not a count."""
        known = {item.name: type(item.default) for item in fields(self) if not item.name.startswith("_")}
        for name, count in counters.items():
            if name not in known or not isinstance(count, known[name] | int) or count < 0:
                raise ValueError(f"not a fault with a count: {name!r}")
        with self._lock:
            for name, count in counters.items():
                setattr(self, name, count)

    def take(self, name: str) -> bool:
        """True if that fault is to happen now, and one fewer is left."""
        with self._lock:
            left = getattr(self, name)
            if left <= 0:
                return False
            setattr(self, name, left - 1)
            return True

    def take_all(self, name: str) -> float:
        """The whole counter (extra repeats, seconds of delay), which is then zero."""
        with self._lock:
            value = float(getattr(self, name))
            setattr(self, name, type(getattr(self, name))(0))
            return value


@dataclass
class Delivery:
    """One notification on its way to one URL."""

    url: str
    sign: Callable[[], Message]
    """Makes the message anew for each attempt, since providers sign the moment of sending."""
    due: float
    attempt: int = 0
    done: bool = False
    replies: list[Reply] = field(default_factory=list)


Send = Callable[[str, Message], Reply]
Accepted = Callable[[Reply], bool]


def send_over_http(url: str, message: Message) -> Reply:
    """POST the message as a provider does; a refused connection or a timeout is an answer that nobody accepts."""
    try:
        answer = requests.post(
            url, data=message.body, headers=dict(message.headers), timeout=SEND_SECONDS, allow_redirects=False
        )
    except requests.RequestException as error:
        return Reply(0, "text/plain", type(error).__name__.encode())
    return Reply(answer.status_code, answer.headers.get("content-type", ""), answer.content)


class Deliveries:
    """Sends notifications until they are accepted or the provider's retry schedule is used up.

    `gaps` are the seconds between attempts. Tests call `run_due`; a served simulator runs `start()`, which calls it
    from a thread. `speed` divides the gaps, so that a demo need not wait for hours.
    """

    def __init__(
        self,
        *,
        gaps: Sequence[float],
        accepted: Accepted,
        faults: Faults,
        send: Send = send_over_http,
        now: Callable[[], float] = time.monotonic,
        speed: float = 1.0,
    ) -> None:
        self._gaps = tuple(gap / speed for gap in gaps)
        self._accepted = accepted
        self._faults = faults
        self._send = send
        self._now = now
        self._queue: deque[Delivery] = deque()
        self._held: deque[Delivery] = deque()
        self._lock = threading.Lock()
        self.sent: list[Delivery] = []

    def enqueue(self, url: str, sign: Callable[[], Message], forged: Callable[[], Message] | None = None) -> None:
        """Queue a notification, spoilt as the faults say. `forged` makes the same message under a wrong key."""
        if self._faults.take("lose"):
            return
        chosen = forged if forged is not None and self._faults.take("forge") else sign
        if self._faults.take("corrupt"):
            chosen = _corrupting(chosen)
        delivery = Delivery(url, chosen, self._now() + self._faults.take_all("delay"))
        extra = [Delivery(url, chosen, delivery.due) for _ in range(int(self._faults.take_all("repeat")))]
        with self._lock:
            if self._faults.take("reorder"):
                self._held.append(delivery)
                return
            self._queue.extend([delivery, *extra, *self._held])
            self._held.clear()

    def run_due(self) -> int:
        """Send everything that is due now, once each; the number of attempts made."""
        with self._lock:
            due = [item for item in self._queue if item.due <= self._now()]
            for item in due:
                self._queue.remove(item)
        for item in due:
            self._attempt(item)
        return len(due)

    def _attempt(self, item: Delivery) -> None:
        reply = self._send(item.url, item.sign())
        item.replies.append(reply)
        item.done = self._accepted(reply)
        with self._lock:
            self.sent.append(item)
            if not item.done and item.attempt < len(self._gaps):
                item.due = self._now() + self._gaps[item.attempt]
                item.attempt += 1
                self._queue.append(item)

    @property
    def waiting(self) -> int:
        with self._lock:
            return len(self._queue) + len(self._held)

    def start(self, every: float = 0.05) -> threading.Event:
        """Send from a daemon thread until the returned event is set."""
        stop = threading.Event()

        def loop() -> None:
            while not stop.wait(every):
                self.run_due()

        threading.Thread(target=loop, name="simulator-deliveries", daemon=True).start()
        return stop


def _corrupting(make: Callable[[], Message]) -> Callable[[], Message]:
    positions = itertools.cycle((3, 17, 41))

    def corrupted() -> Message:
        message = make()
        at = next(positions) % max(1, len(message.body))
        body = message.body[:at] + bytes([message.body[at] ^ 0x01]) + message.body[at + 1 :]
        return Message(message.source, body, message.headers, message.query_string)

    return corrupted
