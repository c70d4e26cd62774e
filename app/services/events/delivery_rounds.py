"""Sends what is due to the endpoints: a lane for each, so that none holds up another.

A delivery is leased, sent, and only then written as done: who dies between leaves it due again, and the receiver gets
the event a second time, with the same id. The events of one user are sent one after the other, in the order in which
they happened: the second is not due before the first has ended.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import structlog
from sqlalchemy import update

from app import metrics
from app.domain.delivery_schedule import AnswerMeaning, DeliveryStatus, asked_pause, meaning_of, retry_pause
from app.domain.endpoints import MOST_ENDPOINTS
from app.domain.representations import plain
from app.domain.webhook_signatures import signed_headers
from app.models.base import AnyRow
from app.models.endpoints import DELIVERIES
from app.services.base.context import Core, Place, Tx
from app.services.base.sanitize import problem_text, storable_text
from app.services.events import deliveries, endpoint_health, endpoint_rests, endpoints, feed
from app.services.events.endpoint_client import KEPT_OF_ANSWER, Attempt, EndpointClient

ROUND = 100
"""Deliveries that one round sends to one endpoint at the most."""
DELIVERIES_AT_ONCE = 4
"""Deliveries that a worker sends to one endpoint at one time, each of another user."""
_d = DELIVERIES.c
_log = structlog.get_logger(__name__)


class Dispatcher:
    """The lanes of a worker's endpoints. A lane lives while its endpoint has something to send."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._threads = ThreadPoolExecutor(MOST_ENDPOINTS, thread_name_prefix="endpoint")
        self._busy: dict[int, Future[None]] = {}
        self._has_settings = False
        self._stop = threading.Event()

    def run_once(self) -> int:
        """One bounded round of every endpoint, one after the other; how many things were done."""
        return sum(send_due(self._core, row.id) for row in self._active())

    def start_lanes(self) -> int:
        """Start a lane for each endpoint that has none at work. Always 0: the lanes go on by themselves."""
        for row in self._active():
            lane = self._busy.get(row.id)
            if (lane is None or lane.done()) and not self._stop.is_set():
                self._busy[row.id] = self._threads.submit(self._keep_on, row.id, row.name)
        return 0

    def close(self) -> None:
        """Begin nothing new, and wait for what is being sent."""
        self._stop.set()
        self._threads.shutdown()

    def _active(self) -> Sequence[AnyRow]:
        if not self._has_settings:
            self._has_settings = endpoints.follow_settings(self._core)
        active = self._core.home.read(deliveries.active_endpoints)
        awake = {row.id: row.probe_at for row in active}
        self._core.guarded(lambda place: endpoint_rests.let_rest(place, awake))
        return active

    def _keep_on(self, number: int, name: str) -> None:
        try:
            while not self._stop.is_set() and send_due(self._core, number, self._stop):
                pass
        except Exception:
            _log.exception("worker_round_failed", lane=f"endpoint {name}")


def send_due(core: Core, number: int, stop: threading.Event | None = None) -> int:
    """One bounded round for one endpoint: send what is due, and write deliveries for what is new in the feed if too
    little is due. How many things were done.

    What is not looked at yet waits in the feed: while an endpoint is down, or slower than the feed, no rows pile up.
    """
    row = core.home.read(lambda tx: deliveries.active_endpoint(tx, number))
    if row is None:
        return 0
    is_down = endpoint_health.is_down(row)
    if is_down and not endpoint_health.claim_probe(core, row):
        return 0
    most, planned, due = 1 if is_down else ROUND, 0, list[int]()

    def look(place: Place) -> None:
        nonlocal planned
        wanted = most - len(due)
        if wanted == 0:
            return
        found = deliveries.due_deliveries(place, number, wanted)
        if len(found) < wanted and (new := deliveries.plan_deliveries(place, row)):
            planned += new
            found = deliveries.due_deliveries(place, number, wanted)
        if len(found) < wanted:
            deliveries.defer_blocked(place, number)
        due.extend(found)

    core.guarded(look)
    return planned + _send_all(core, row, due, stop)


def _send_all(core: Core, row: AnyRow, numbers: Sequence[int], stop: threading.Event | None) -> int:
    if not numbers:
        return 0
    sending = _Sending(core, row, stop or threading.Event())
    try:
        if len(numbers) == 1:
            return int(sending.send(numbers[0]))
        with ThreadPoolExecutor(DELIVERIES_AT_ONCE) as threads:
            return sum(threads.map(sending.send, numbers))
    finally:
        sending.close()


class _Sending:
    """A round of one endpoint: its connections, and whether it has failed too often to go on."""

    def __init__(self, core: Core, row: AnyRow, stop: threading.Event) -> None:
        self._core = core
        self._row = row
        self._stop = stop
        self._unwell = row.failures > 0
        self._secrets = endpoints.signing_secrets(core.rules.push, row, core.clock.now())
        self._client: EndpointClient | None = None
        self._problem = ""
        try:
            self._client = EndpointClient(row.url, core.rules.push, DELIVERIES_AT_ONCE)
        except (ValueError, OSError) as error:  # the settings have changed since, or the file of authorities
            self._problem = problem_text(f"the endpoint cannot be used: {error}")

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def send(self, number: int) -> bool:
        """Send one delivery; False if it is not to be sent now, or another worker has it. One delivery's trouble is its
        own: logged, and due again when its lease is over."""
        if self._stop.is_set():
            return False
        try:
            taken = self._core.of_number(number).transact(partial(self._take, number))
            if taken is None:
                return False
            delivery, event = taken
            if event is None:
                self._core.at(delivery.slot).transact(
                    lambda tx: deliveries.end_delivery(tx, delivery, "the event is not kept any more")
                )
            else:
                self._settle(delivery, self._attempt(event))
        except Exception:
            _log.exception("due_work_failed", kind="deliveries", number=number)
            return False
        return True

    def _take(self, number: int, tx: Tx) -> tuple[AnyRow, AnyRow | None] | None:
        row = deliveries.LEASES.take(tx, number, tx.now)
        return None if row is None else (row, deliveries.find_event_of(tx, row))

    def _attempt(self, event: AnyRow) -> Attempt:
        if self._client is None or not self._secrets:
            return Attempt(None, 0, b"", self._problem or "no secret is there to sign with")
        body = message_of(event)
        headers = signed_headers(str(event.id), self._core.clock.now(), body, self._secrets)
        return self._client.post(headers, body)

    def _settle(self, delivery: AnyRow, attempt: Attempt) -> None:
        meaning = meaning_of(attempt.status)
        metrics.DELIVERIES_TRIED.labels(self._row.name, meaning).observe(attempt.latency_ms / 1000)
        _log.info(
            "delivery",
            endpoint=self._row.name,
            delivery=delivery.id,
            event_id=str(delivery.event_id),
            attempt=delivery.attempts,
            status=attempt.status,
            ms=attempt.latency_ms,
            problem=attempt.problem,
        )
        if meaning is AnswerMeaning.TAKEN:
            self._core.at(delivery.slot).transact(lambda tx: _write_done(tx, delivery, attempt))
            if self._unwell:
                self._unwell = False
                endpoint_health.note_success(self._core, self._row)
                self._core.guarded(lambda place: place.transact(lambda tx: endpoint_rests.end_rest(tx, self._row.id)))
            return
        self._unwell = True
        now = self._core.clock.now()
        asked = asked_pause(attempt.status, attempt.retry_after, now)
        probe_at = endpoint_health.note_failure(self._core, self._row, meaning, attempt.problem, asked)
        if probe_at is not None or meaning is AnswerMeaning.GONE:
            self._stop = _STOPPED
        rested = now + retry_pause(meaning, delivery.attempts, random.random())  # noqa: S311 - spreads, keeps no secret
        # While the endpoint is taken to be down its own rest counts, which is short; but never less than it asks for.
        next_at = rested if probe_at is None else probe_at if asked is None else max(rested, probe_at)
        failed = {"status": DeliveryStatus.FAILED, "next_at": next_at, **_seen(attempt)}
        self._core.at(delivery.slot).transact(lambda tx: _write_failed(tx, delivery, {**failed, "tried_at": tx.now}))


_STOPPED = threading.Event()
_STOPPED.set()


def message_of(event: AnyRow) -> bytes:
    """The body of the message about an event: the same bytes in every attempt, for all endpoints."""
    return as_body(plain(feed.as_sent(event)))


def as_body(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _seen(attempt: Attempt) -> dict[str, object]:
    """What is kept of an attempt."""
    answer = storable_text(attempt.answer.decode("utf-8", "replace"), KEPT_OF_ANSWER)
    return {
        "code": attempt.status,
        "latency_ms": attempt.latency_ms,
        "problem": problem_text(attempt.problem),
        "answer": answer,
    }


def _write_done(tx: Tx, delivery: AnyRow, attempt: Attempt) -> None:
    """The receiver has it, whatever else was written about the delivery meanwhile."""
    done = {"status": DeliveryStatus.DONE, "next_at": None, "tried_at": tx.now, **_seen(attempt)}
    tx.execute(update(DELIVERIES).where(_d.slot == delivery.slot, _d.id == delivery.id).values(done))
    if delivery.status == DeliveryStatus.FAILED:
        deliveries.wake_user(tx, delivery)


def _write_failed(tx: Tx, delivery: AnyRow, failed: dict[str, object]) -> None:
    """Unless it was given up or sent by another worker meanwhile, or a person has asked for it anew."""
    mine = (_d.slot == delivery.slot, _d.id == delivery.id, _d.next_at.is_not(None))
    tx.execute(update(DELIVERIES).where(*mine, _d.attempts == delivery.attempts).values(failed))
