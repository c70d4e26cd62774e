"""What is due, in bounded batches: queries of open payments, orders that end, keys that need renewing.

Any number of workers may run: each takes work by a conditional UPDATE, so that they never do the same thing at once,
and what a dying worker had taken is due again a minute later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select

from app.domain.status import OPEN_PAYMENT, OrderStatus
from app.models.orders import Order, Payment
from app.models.slot_guard import sweep
from app.providers.verbs import Refreshes
from app.services.accounts.provider_keys import DatabaseKeys
from app.services.base.context import Core
from app.services.base.leases import LeaseQueue
from app.services.calls import fulfilment, payment_closing, payment_queries, reference_queries, refund_calls, scans
from app.services.facts import parked as parked_facts
from app.services.intake import receipts
from app.services.ledger import checkpoints
from app.services.ledger.expiring import expire_due
from app.services.payments import expiry
from app.services.refunds import early_refunds

BATCH = 100
THREADS = 8
IDLE_SECONDS = 1.0
WAITING_SECONDS = 30.0
FAILURE_PAUSE_SECONDS = 5.0
CHECKPOINT_PAUSE = timedelta(minutes=1)
"""Between two looks for days to close, when the last look found none or failed."""
_log = structlog.get_logger(__name__)
_o, _p = Order.__table__.c, Payment.__table__.c

_OPEN_PAYMENT_OF_ORDER = (
    select(_p.id).where(_p.slot == _o.slot, _p.order_id == _o.id, _p.status.in_(sorted(OPEN_PAYMENT))).exists()
)


class Worker:
    """One worker process. `run` goes on until `stop` is set; `run_once` is one round, for tests and cron."""

    def __init__(self, core: Core, keys: Iterable[DatabaseKeys] = ()) -> None:
        self._core = core
        self._keys = tuple(keys)
        self._refreshed: dict[str, float] = {}
        self._look_for_waiting_at = 0.0
        self._waiting_after = 0
        self._parked_after = parked_facts.START
        self._no_checkpoint_at: datetime | None = None
        self.stop = threading.Event()

    def run(self) -> None:
        """Work until stopped. A round that fails (the database is away) is logged and tried again."""
        while not self.stop.is_set():
            try:
                done = self.run_once()
            except Exception:
                _log.exception("worker_round_failed")
                self.stop.wait(FAILURE_PAUSE_SECONDS)
                continue
            if not done:
                self.stop.wait(IDLE_SECONDS)

    def run_once(self) -> int:
        """One bounded round; how many things were done."""
        for keys in self._keys:
            keys.reload_if_old()
        self._refresh_keys()
        return (
            self._query_due()
            + self._end_orders()
            + self._receipts()
            + self._reports()
            + self._asks()
            + self._scans()
            + self._refunds()
            + self._waiting_facts()
            + self._ledger()
            + self._checkpoints()
        )

    def _ledger(self) -> int:
        """Holds and lots whose time is over."""
        core = self._core
        return expire_due(core.sessions, at=core.clock.now(), rules=core.rules.ledger, limit=BATCH)

    def _checkpoints(self) -> int:
        """The books' totals at the end of a day that is closed, one day a round.

        A failure stops nothing else: what is missing is derived data, and made up for.
        """
        now = self._core.clock.now()
        if self._no_checkpoint_at is not None and abs(now - self._no_checkpoint_at) < CHECKPOINT_PAUSE:
            return 0
        try:
            written = checkpoints.write_next(self._core.sessions, now=now)
        except Exception:
            _log.exception("checkpointing_failed")
            written = False
        self._no_checkpoint_at = None if written else now
        return int(written)

    def _query_due(self) -> int:
        """Ask about payments that are due, several at a time: one slow provider must not keep the others waiting."""
        with ThreadPoolExecutor(max_workers=THREADS) as pool:
            return sum(pool.map(self._guarded(payment_closing.work_on_due), self._due(payment_queries.DUE)))

    def _due(self, work: LeaseQueue) -> list[int]:
        now = self._core.clock.now()
        return self._core.read(lambda session: work.numbers(session, now, BATCH))

    def _guarded(self, work: Callable[[Core, int], bool]) -> Callable[[int], bool]:
        """One payment's trouble is its own: logged, and due again when its lease is over."""

        def guarded(number: int) -> bool:
            try:
                return work(self._core, number)
            except Exception:
                _log.exception("due_work_failed", number=number)
                return False

        return guarded

    def _end_orders(self) -> int:
        """Orders whose time is over and whose payments have all ended unpaid."""
        over = (
            select(_o.slot, _o.id)
            .prefix_with(sweep("due_payments"))
            .where(_o.status == OrderStatus.OPEN, _o.expires_at <= self._core.clock.now(), ~_OPEN_PAYMENT_OF_ORDER)
            .order_by(_o.expires_at)
            .limit(BATCH)
        )
        rows = self._core.read(lambda session: session.execute(over).all())
        return sum(expiry.expire_order(self._core, row.slot, row.id) for row in rows)

    def _receipts(self) -> int:
        """Proofs of purchase that wait for a provider's word."""
        return sum(map(self._guarded(receipts.work_on_due), self._due(receipts.DUE)))

    def _reports(self) -> int:
        """What providers are to be told about purchases."""
        return sum(map(self._guarded(fulfilment.work_on_due), self._due(fulfilment.DUE)))

    def _refunds(self) -> int:
        """Refunds that are open, and those that failed and may still succeed."""
        with ThreadPoolExecutor(max_workers=THREADS) as pool:
            open_ones = pool.map(self._guarded(refund_calls.work_on_due), self._due(refund_calls.DUE))
            failed = pool.map(self._guarded(refund_calls.recheck), self._due(refund_calls.RECHECKS_DUE))
            return sum(open_ones) + sum(failed)

    def _waiting_facts(self) -> int:
        """Facts whose cause may have come since: refunds before their payment, and parked ones. Seldom any, so seldom
        looked for."""
        if time.monotonic() < self._look_for_waiting_at:
            return 0
        self._look_for_waiting_at = time.monotonic() + WAITING_SECONDS
        refunds, self._waiting_after = early_refunds.sweep(self._core, self._waiting_after)
        parked, self._parked_after = parked_facts.sweep(self._core, self._parked_after)
        return refunds + parked

    def _asks(self) -> int:
        """Refunds that messages named without proving them."""
        return sum(map(self._guarded(reference_queries.work_on_due), self._due(reference_queries.DUE)))

    def _scans(self) -> int:
        """Histories that are due for reading."""
        done = 0
        for account in self._core.registry:
            for feed, minutes in account.scan.items():
                try:
                    done += scans.scan_due(self._core, account, feed, timedelta(minutes=minutes))
                except Exception:
                    _log.exception("scan_failed", provider_account=account.name, feed=feed)
        return done

    def _refresh_keys(self) -> None:
        """Let plugins renew the public keys they keep, each on its own timer."""
        for account in self._core.registry:
            provider = account.provider
            if not isinstance(provider, Refreshes):
                continue
            last = self._refreshed.get(account.name)
            if last is not None and time.monotonic() - last < provider.refresh_seconds:
                continue
            self._refreshed[account.name] = time.monotonic()
            try:
                provider.refresh()
            except Exception:
                _log.exception("keys_not_refreshed", provider_account=account.name)
