"""The worker: a list of lanes, and a thread for each.

A lane is one kind of work, for one provider account where the work calls providers: neither a kind, nor an account that
hangs, nor a user with much to do can keep the others waiting. While nothing is to be done the lanes sleep: one
statement a second asks for all of them which kinds of work are due. Any number of workers may run: each takes work by a
conditional UPDATE, so that they never do one thing at once, and what a dying worker had taken is due again a minute
later.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, zip_longest

import structlog
from sqlalchemy import ColumnElement, select

from app.domain.retries import Retried, pause_seconds
from app.providers.registry import ProviderAccount
from app.providers.verbs import Refreshes
from app.services.accounts.provider_keys import DatabaseKeys
from app.services.agreements import agreement_rows
from app.services.base.context import Bulkheads, Core
from app.services.base.leases import LeaseQueue, in_turns, next_try
from app.services.base.statements import Statement
from app.services.bills import readings
from app.services.calls import (
    agreement_queries,
    call_log,
    payment_closing,
    payment_queries,
    reference_queries,
    refund_calls,
    report_calls,
    scans,
)
from app.services.calls.provider_call import call_provider
from app.services.differences import due_comparisons
from app.services.events import deliveries, delivery_rounds
from app.services.events import feed as event_feed
from app.services.facts import inbox, waiting_refunds
from app.services.facts import parked as parked_facts
from app.services.finance import bill_bookings, recognition
from app.services.fulfilments import reminders
from app.services.gifts import gift_rows, journey, recalls
from app.services.intake import receipts
from app.services.ledger import checkpoints
from app.services.ledger import expiry as ledger_expiry
from app.services.payments import expiry

BATCH = 100
"""Things that one round of a lane does at the most."""
SEEN = 1000
"""Due rows among which a round of a queue chooses its batch, so that every user has a turn."""
ROUND_SECONDS = 1.0
"""After so long a round of a queue begins no further row: who fell due meanwhile has a turn."""
THREADS = 4
"""Calls that one lane makes at once: as many as its bulkhead has places for one account (`Bulkheads.WIDTH`)."""
IDLE_SECONDS = 1.0
"""What falls due is found by a look at the database after so long at the most."""
WAITING_SECONDS = pause_seconds(Retried.WAITING_FACT, 0, jitter=0)
OLD_SECONDS = 600.0
OLD_CALLS_SECONDS = 3600.0
"""Between two looks for calls that are older than they are kept."""
FAILURE_PAUSE_SECONDS = 5.0
CHECKPOINT_PAUSE = timedelta(minutes=1)
"""A round that found no checkpoint to write, or failed to write one, is followed by none for so long."""
BILLS_PAUSE = timedelta(minutes=1)
"""A round that found no bill to read or to compare is followed by none for so long."""
BILLS_IN_ROUND = 10
REFRESH_SECONDS = 30.0
"""How long a plugin may take to renew its keys."""
KEY_RENEWALS, SCANS, ORDERS, LEDGER = "keys", "scans", "orders that end", "holds and lots that end"
UNBOOKED_BILLS = "bills that are not booked"
UNPLACED_EVENTS, UNSENT_EVENTS = "events without a position", "deliveries"
"""Kinds of work beside the queues."""
OLD = (
    inbox.delete_old_messages,
    reference_queries.delete_old_questions,
    event_feed.delete_old_events,
    deliveries.delete_old_deliveries,
)
"""What deletes rows that nobody needs any more."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Queue:
    """Rows that fall due, and what is done about one of them. `work` is False if another worker has the row."""

    kind: str
    leases: LeaseQueue
    work: Callable[[Core, int], bool]


QUEUES = (
    Queue("payment queries", payment_queries.PAYMENTS_DUE, payment_closing.work_on_payment),
    Queue("receipts", receipts.RECEIPTS_DUE, receipts.work_on_receipt),
    Queue("reports to providers", report_calls.REPORTS_DUE, report_calls.work_on_report),
    Queue("reference queries", reference_queries.ASKS_DUE, reference_queries.work_on_ask),
    Queue("refunds", refund_calls.REFUNDS_DUE, refund_calls.work_on_refund),
    Queue("refunds that failed", refund_calls.RECHECKS_DUE, refund_calls.recheck),
    Queue("gifts", gift_rows.GIFTS_DUE, journey.work_on_gift),
    Queue("recalls of gifts", recalls.RECALLS_DUE, recalls.work_on_recall),
    Queue("fulfilments without an answer", reminders.FULFILMENTS_DUE, reminders.work_on_fulfilment),
    Queue("agreements", agreement_rows.AGREEMENTS_DUE, agreement_queries.work_on_agreement),
)


@dataclass(frozen=True, slots=True)
class Lane:
    """One kind of work. `round` does a bounded part of it, and says how many things it did."""

    name: str
    round: Callable[[], int]
    kind: str | None = None
    """What the look at the database must find due; None for work that has a clock of its own."""
    due: threading.Event = field(default_factory=threading.Event)
    """Set when there may be something to do."""

    def sleep(self) -> None:
        """Until there may be something to do."""
        self.due.wait(IDLE_SECONDS if self.kind is None else None)


class Worker:
    """One worker process. `run` goes on until `stop` is set; `run_once` is one round of every lane, for tests and
    cron."""

    def __init__(
        self,
        core: Core,
        keys: Iterable[DatabaseKeys] = (),
        *,
        is_current: Callable[[], bool] = lambda: True,
    ) -> None:
        """`is_current` says whether the slots still lie where this process believes; cheap."""
        self._core = core
        self._cores = {kind: replace(core, bulkheads=Bulkheads()) for kind in (KEY_RENEWALS, *(q.kind for q in QUEUES))}
        """Each kind of work has its own places at each provider account: none takes those of another."""
        self._slots_are_current = is_current
        self._keys = tuple(keys)
        self._refresh_at: dict[str, datetime] = {}
        self._refreshes_failed = Counter[str]()
        self._look_for_waiting_at = 0.0
        self._waiting_after = 0
        self._look_for_old_at = 0.0
        self._look_for_old_calls_at = 0.0
        self._parked_after = parked_facts.PARKED_START
        self._no_checkpoint_at: datetime | None = None
        self._no_bill_at: dict[str, datetime | None] = {}
        self._dispatcher = delivery_rounds.Dispatcher(core)
        self._is_running = False
        self.stop = threading.Event()
        self.lanes = tuple(self._lanes())
        self._kinds = self._any_due()
        self.look = Statement(select(*self._kinds.values()))
        """The look at the database: one column for each kind of work, whether any is due."""
        self._has_begun = False

    def run(self) -> None:
        """Work until stopped. A round that fails (the database is away) is logged and tried again. Whatever else is
        raised ends all lanes: a process of which half works is not started anew by anybody."""
        self._is_running = True
        threads = [threading.Thread(target=self._keep_on, args=(lane,), name=lane.name) for lane in self.lanes]
        for thread in threads:
            thread.start()
        try:
            while not self.stop.wait(IDLE_SECONDS):
                if not self._slots_are_current():  # it would work where slots are not any more: a new one is refused
                    _log.critical("worker_ends_with_an_old_map")
                    break
                self._wake_lanes()
        finally:
            self.stop.set()
            for lane in self.lanes:
                lane.due.set()
            for thread in threads:
                thread.join()
            self._dispatcher.close()

    def run_once(self) -> int:
        """One bounded round of every lane, one after the other; how many things were done. After the first time, lanes
        are left out if nothing at all is due."""
        nothing_due = self._has_begun and not self._due_kinds()
        self._has_begun = True
        return sum(lane.round() for lane in self.lanes if lane.kind is None or not nothing_due)

    def _keep_on(self, lane: Lane) -> None:
        while not self.stop.is_set():
            lane.due.clear()  # before the round: what falls due from here on is found by the next look
            try:
                done = lane.round()
            except Exception:
                _log.exception("worker_round_failed", lane=lane.name)
                self.stop.wait(FAILURE_PAUSE_SECONDS)
                continue
            if not done and not self.stop.is_set():
                lane.sleep()

    def _wake_lanes(self) -> None:
        try:
            kinds = self._due_kinds()
        except Exception:
            _log.exception("worker_look_failed")
            self.stop.wait(FAILURE_PAUSE_SECONDS)
            return
        for lane in self.lanes:
            if lane.kind in kinds:
                lane.due.set()

    def _due_kinds(self) -> set[str]:
        """The kinds of work of which something is due: one statement for all of them."""
        values = {"now": self._core.clock.now()}
        looks = self._core.guarded(lambda place: place.alone(lambda tx: self.look.rows(tx, values))[0])
        return {kind for found in looks.values() for kind, is_due in zip(self._kinds, found, strict=True) if is_due}

    def _any_due(self) -> dict[str, ColumnElement[bool]]:
        """For each kind of work that has no clock of its own: whether any of it is due at the moment `now`."""
        feeds = [(account.name, feed) for account in self._core.registry for feed in account.scan]
        return {
            **{queue.kind: queue.leases.any_due for queue in QUEUES},
            SCANS: scans.any_due(feeds),
            ORDERS: expiry.ANY_OVER,
            LEDGER: ledger_expiry.ANY_EXPIRY_DUE,
            UNPLACED_EVENTS: event_feed.ANY_UNPLACED,
            UNSENT_EVENTS: deliveries.ANY_DELIVERY_DUE,
            UNBOOKED_BILLS: bill_bookings.any_unbooked(account.name for account in self._core.registry),
        }

    def _lanes(self) -> Iterator[Lane]:
        accounts = list(self._core.registry)
        names = [account.name for account in accounts]
        yield Lane("copies of keys", self._copy_keys)
        for account in accounts:  # before whatever needs the keys
            if isinstance(account.provider, Refreshes):
                yield Lane(f"{KEY_RENEWALS} of {account.name}", partial(self._refresh_keys, account, account.provider))
        for queue in QUEUES:
            for name in names if queue.leases.by_account else ():
                yield Lane(f"{queue.kind} of {name}", partial(self._queue_round, queue, only=(name,)), queue.kind)
            # Accounts that are not configured any more; every account where the rows do not name theirs.
            rest = tuple(names) if queue.leases.by_account else ()
            yield Lane(queue.kind, partial(self._queue_round, queue, never=rest), queue.kind)
        for account in accounts:
            for feed, minutes in account.scan.items():
                read = partial(self._scan, account, feed, timedelta(minutes=minutes))
                yield Lane(f"scan of {account.name} {feed}", read, SCANS)
            yield Lane(f"bills of {account.name}", partial(self._bills, account))
        yield Lane(ORDERS, lambda: expiry.expire_due_orders(self._core, BATCH), ORDERS)
        yield Lane("facts that wait", self._waiting_facts)
        yield Lane(LEDGER, self._ledger, LEDGER)
        yield Lane("checkpoints", self._checkpoints)
        yield Lane(UNBOOKED_BILLS, lambda: bill_bookings.book_due_bills(self._core, BATCH), UNBOOKED_BILLS)
        yield Lane(UNPLACED_EVENTS, lambda: event_feed.place_events(self._core), UNPLACED_EVENTS)
        yield Lane(UNSENT_EVENTS, self._deliver, UNSENT_EVENTS)
        yield Lane("old rows", self._old_rows)
        yield Lane("old calls", self._old_calls)

    def _queue_round(self, queue: Queue, *, only: tuple[str, ...] = (), never: tuple[str, ...] = ()) -> int:
        now = self._core.clock.now()
        due = partial(queue.leases.numbers, now=now, limit=SEEN, only=only, never=never)
        found = self._core.guarded(lambda place: place.read(due)).values()
        mixed = chain.from_iterable(zip_longest(*found))  # no database keeps another waiting
        numbers = in_turns(number for number in mixed if number is not None)[:BATCH]
        work = self._guarded(queue)
        if len(numbers) < 2:
            return sum(map(work, numbers))
        with ThreadPoolExecutor(THREADS) as threads:
            return sum(threads.map(work, numbers))

    def _guarded(self, queue: Queue) -> Callable[[int], bool]:
        """One row's trouble is its own: logged, and due again when its lease is over."""
        core, ends = self._cores[queue.kind], time.monotonic() + ROUND_SECONDS

        def guarded(number: int) -> bool:
            if self._is_running and time.monotonic() > ends:
                return False
            try:
                return queue.work(core, number)
            except Exception:
                _log.exception("due_work_failed", kind=queue.kind, number=number)
                return False

        return guarded

    def _scan(self, account: ProviderAccount, feed: str, every: timedelta) -> int:
        """A history that is due for reading."""
        try:
            return int(scans.scan_due(self._core, account, feed, every))
        except Exception:
            _log.exception("scan_failed", provider_account=account.name, feed=feed)
            return 0

    def _ledger(self) -> int:
        done = self._core.guarded(lambda place: ledger_expiry.expire_due(place, limit=BATCH))
        return sum(done.values())

    def _checkpoints(self) -> int:
        """The books' totals at the end of a day that is closed, one day a round; where none is missing, revenue.

        A failure stops nothing else: what is missing is derived data, and made up for.
        """
        now = self._core.clock.now()
        if self._no_checkpoint_at is not None and abs(now - self._no_checkpoint_at) < CHECKPOINT_PAUSE:
            return 0
        try:
            written = checkpoints.write_next(self._core.whole.sessions, now=now)
        except Exception:
            _log.exception("checkpointing_failed")
            written = False
        if not written:
            self._recognise()
        self._no_checkpoint_at = None if written else now
        return int(written)

    def _recognise(self) -> None:
        """The revenue of days that are closed, some days a round. Nobody waits for it: it is not counted among what a
        round did."""
        try:
            recognition.recognise_next(self._core)
        except Exception:
            _log.exception("recognition_failed")

    def _bills(self, account: ProviderAccount) -> int:
        """Bills that lie unread, and days whose bills are to be compared with the books."""
        core, now = self._core, self._core.clock.now()
        idle_since = self._no_bill_at.get(account.name)
        if idle_since is not None and abs(now - idle_since) < BILLS_PAUSE:
            return 0
        done = readings.read_unread(core, [account], BILLS_IN_ROUND)
        done += due_comparisons.compare_due(core, [account], BILLS_IN_ROUND)
        self._no_bill_at[account.name] = None if done else now
        return done

    def _waiting_facts(self) -> int:
        """Facts whose cause may have come since: refunds before their payment, and parked ones. Seldom any, so seldom
        looked for."""
        if time.monotonic() < self._look_for_waiting_at:
            return 0
        self._look_for_waiting_at = time.monotonic() + WAITING_SECONDS
        refunds, self._waiting_after = waiting_refunds.look_at_waiting_refunds(self._core, self._waiting_after)
        applied, self._parked_after = parked_facts.look_at_parked(self._core, self._parked_after)
        return refunds + applied

    def _old_rows(self) -> int:
        """Kept messages that are settled, questions that have ended, and events, when they are old. Nobody waits for
        this, so it is seldom looked for."""
        if time.monotonic() < self._look_for_old_at:
            return 0
        deleted = [delete(self._core, BATCH) for delete in OLD]
        if max(deleted) < BATCH:
            self._look_for_old_at = time.monotonic() + OLD_SECONDS
        return sum(deleted)

    def _deliver(self) -> int:
        """Events for endpoints. Each endpoint has a thread of its own while something is to be sent there; only
        `run_once` waits for them."""
        return self._dispatcher.start_lanes() if self._is_running else self._dispatcher.run_once()

    def _old_calls(self) -> int:
        """What is remembered of calls to providers, as long as the installation wants. Nobody waits for this, so it is
        seldom looked for."""
        if time.monotonic() < self._look_for_old_calls_at:
            return 0
        deleted = call_log.delete_old_calls(self._core)
        if not deleted:
            self._look_for_old_calls_at = time.monotonic() + OLD_CALLS_SECONDS
        return deleted

    def _copy_keys(self) -> int:
        """Copies providers' public keys into this process."""
        for keys in self._keys:
            keys.reload_if_old()
        return 0

    def _refresh_keys(self, account: ProviderAccount, provider: Refreshes) -> int:
        """Lets a plugin renew its keys, on the timer that it names; sooner where that failed."""
        name, now = account.name, self._core.clock.now()
        if now < self._refresh_at.get(name, now):
            return 0
        core = self._cores[KEY_RENEWALS]
        called = call_provider(core, account, "refresh", provider.refresh, seconds=REFRESH_SECONDS)
        again = now + timedelta(seconds=provider.refresh_seconds)
        if called.answered:
            self._refreshes_failed[name] = 0
        else:
            again = min(again, next_try(now, Retried.KEYS, self._refreshes_failed[name]))
            self._refreshes_failed[name] += 1
        self._refresh_at[name] = again
        return 0
