"""A Tillbook whose worker and webhooks can be killed at any step, over a SQLite file and one provider account."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from flask import Flask
from sqlalchemy import bindparam, select

from app.domain.numbers import NumberSource, slot_of_user
from app.models.agreements import AGREEMENTS, PERIODS
from app.models.base import AnyRow
from app.providers.facts import Message, Reply
from app.providers.http import HttpResponse
from app.providers.registry import ProviderAccount, Registry
from app.providers.testing.doubles import FixedClock, MemoryKeys, WsgiClient
from app.providers.tools import Tools
from app.providers.verbs import Plugin, Refreshes
from app.services import ledger
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.agreements.entitlements import entitlements_of_user
from app.services.audit import run
from app.services.audit.ledger import AsOf
from app.services.base.context import Core, ProviderClock, Rules
from app.services.base.statements import Statement
from app.services.calls.scans import scan_due
from app.services.facts.parked import PARKED_START, look_at_parked
from app.services.facts.waiting_refunds import look_at_waiting_refunds
from app.services.intake.notifications import receive_notification
from app.services.payments.expiry import ANY_OVER, expire_due_orders
from app.worker import QUEUES
from tests.support.databases import databases_of, sessions_for
from tests.support.faults import Fuse, Killed, fused_engine

ACCOUNT = "till"
MOST_ROUNDS = 12
_KINDS = Statement(select(*(queue.leases.any_due for queue in QUEUES), ANY_OVER))


_BEGINS = (
    select(PERIODS.c.starts_at)
    .join(AGREEMENTS, (AGREEMENTS.c.slot == PERIODS.c.slot) & (AGREEMENTS.c.id == PERIODS.c.agreement_id))
    .where(PERIODS.c.slot == bindparam("slot"), AGREEMENTS.c.user_id == bindparam("user"))
)


def _die(_: object) -> None:
    raise Killed


class DyingLine:
    """The line to the simulated provider: the process may die before a call and after it. `watch` sees each request
    before the provider does."""

    def __init__(self, app: Flask, fuse: Fuse, watch: Callable[[str, bytes], None]) -> None:
        self._http, self._fuse, self._watch = WsgiClient(app), fuse, watch

    def request(self, method: str, url: str, **details: Any) -> HttpResponse:
        self._fuse.step("before call")
        self._watch(url, details.get("body", b""))
        answer = self._http.request(method, url, **details)
        self._http.requests.clear()
        self._fuse.step("after call")
        return answer


class MeetingFuse(Fuse):
    """Between two transactions of one worker, and around its calls, another worker may come by: at the n-th such moment
    from `expect` on."""

    _MOMENTS = frozenset({"after commit", "before call", "after call"})

    def __init__(self, blow: Callable[[Any], None]) -> None:
        super().__init__(blow)
        self._comes_in = 0
        self.other: Callable[[], None] = lambda: None

    def expect(self, moment: int) -> None:
        """0: no other worker comes by."""
        self._comes_in = moment

    def step(self, name: str, connection: Any = None) -> None:
        super().step(name, connection)
        if name not in self._MOMENTS or self._comes_in == 0:
            return
        self._comes_in -= 1
        if self._comes_in == 0:
            with self.aside():
                self.other()


class Till:
    """The service. `kill_at` is how many steps the next piece of work may take before its process dies; 0: it lives."""

    def __init__(self, url: str, start: datetime, catalogue: str) -> None:
        self.clock = FixedClock(start)
        self._url = url
        self._second: Core | None = None
        self.happened = Counter[str]()
        """What runs are to show that they had."""
        self._fuse = MeetingFuse(_die)
        self._fuse.watch = self._note_written
        self._users = dict[int, set[str]]()
        self._written = set[int]()
        self._engine = fused_engine(url, self._fuse)
        self.is_up = True
        self.core = Core(
            databases=databases_of(sessions_for(self._engine)),
            registry=Registry({}),
            numbers=NumberSource(lambda: int(self.clock.now().timestamp() * 1000)),
            clock=self.clock,
            rules=Rules(),
            public_url="https://pay.test",
        )
        parsed = parse_catalogue(catalogue)
        import_products(self.core, parsed)

    def serve(
        self,
        plugin: Plugin,
        settings: dict[str, Any],
        app: Flask,
        watch: Callable[[str, bytes], None],
        scan: Mapping[str, int] | None = None,
    ) -> ProviderAccount:
        """From now on there is one provider account: of this plugin, at this simulator."""
        line = DyingLine(app, self._fuse, watch)
        tools = Tools(http=line, clock=ProviderClock(self.clock), keys=MemoryKeys(), live=False)
        provider = plugin.build(plugin.settings.model_validate(settings), tools)
        account = ProviderAccount(ACCOUNT, plugin.name, False, provider, scan or {})
        self.core = replace(self.core, registry=Registry({ACCOUNT: account}))
        if isinstance(provider, Refreshes):
            provider.refresh()
        self._rebuild = lambda: plugin.build(plugin.settings.model_validate(settings), tools)
        return account

    _rebuild: Callable[[], Any]

    def restart(self) -> None:
        """A new process: of the one before, nothing is left but the database."""
        self.happened["restarted"] += 1
        self._engine.dispose()
        self._engine = fused_engine(self._url, self._fuse)
        self.core, self._second = self._new_process(), None

    def _new_process(self) -> Core:
        accounts = {each.name: replace(each, provider=self._rebuild()) for each in self.core.registry}
        numbers = NumberSource(lambda: int(self.clock.now().timestamp() * 1000))
        return replace(
            self.core,
            databases=databases_of(sessions_for(self._engine)),
            registry=Registry(accounts),
            numbers=numbers,
        )

    def _other_works(self, kill_at: int) -> None:
        mine = self.core
        self.happened["a second worker"] += 1
        self.core = self._second = self._second or self._new_process()
        try:
            self.work(kill_at)
        finally:
            self.core = mine

    @contextlib.contextmanager
    def mortal(self, kill_at: int = 0) -> Iterator[None]:
        """What is done inside dies at that step."""
        with self._fuse.armed(kill_at):
            try:
                yield
            except Killed:
                self.happened["killed"] += 1

    def receive(self, _: str, message: Message) -> Reply:
        """What the provider's notification is answered with. A process that is down or dies answers nothing."""
        account = self.core.registry.get(ACCOUNT)
        reply = Reply(0, "text/plain", b"")
        if account is not None and self.is_up:
            with self.mortal(self.kill_receiver_at()):
                reply = receive_notification(self.core, account, message)
        return reply

    kill_receiver_at: Callable[[], int] = staticmethod(lambda: 0)

    def work(self, kill_at: int = 0, meets_at: int = 0, kill_other_at: int = 0) -> None:
        """All that is due now, by a worker that may die. At one moment of its work another worker may come by, and
        may die too."""
        self._fuse.other = partial(self._other_works, kill_other_at)
        self._fuse.expect(meets_at)
        with self.mortal(kill_at):
            for account in self.core.registry:
                for feed, minutes in account.scan.items():
                    scan_due(self.core, account, feed, timedelta(minutes=minutes))
            for _ in range(MOST_ROUNDS):
                if not self._round():
                    return
            raise AssertionError("the worker finds no end")

    def _round(self) -> bool:
        now = self.core.clock.now()
        *kinds, orders_end = self.core.whole.alone(lambda tx: _KINDS.rows(tx, {"now": now}))[0]
        for queue, is_due in zip(QUEUES, kinds, strict=True):
            if not is_due:
                continue
            for number in self.core.whole.read(partial(queue.leases.numbers, now=now, limit=1000)):
                queue.work(self.core, number)
        if orders_end:
            expire_due_orders(self.core, 1000)
        return any(kinds)

    def look_at_what_waits(self) -> None:
        """What the worker seldom looks at: facts whose cause may have come since."""
        with self.mortal():
            look_at_waiting_refunds(self.core, 0)
            look_at_parked(self.core, PARKED_START)

    def move_to(self, moment: datetime) -> None:
        if moment > self.clock.now():
            self.clock.advance((moment - self.clock.now()) / timedelta(seconds=1))

    # --- what it says

    def active(self, user: str) -> dict[str, datetime]:
        return {each.name: each.until for each in entitlements_of_user(self.core, user)}

    def coins(self, user: str) -> int:
        slot = slot_of_user(user)
        found = self.core.whole.read(lambda tx: ledger.balances(tx, slot, user))
        return sum(entry.balance for entry in found if entry.asset == "coin")

    def turns(self, user: str) -> list[datetime]:
        """When the user's answer changes although nothing is written: a period begins, or something ends."""
        self._users.setdefault(slot_of_user(user), set()).add(user)
        begins = self.core.whole.read(lambda tx: tx.scalars(_BEGINS, {"slot": slot_of_user(user), "user": user}).all())
        return [*begins, *self.active(user).values()]

    def take_written(self) -> set[str]:
        """In whose slots something was written since this was asked last, of the users whose `turns` are known."""
        written, self._written = self._written, set()
        return {user for slot in written for user in self._users.get(slot, ())}

    def _note_written(self, sql: str, values: Any) -> None:
        """A slot is a number among the values of a statement; a number that only looks like one does no harm."""
        if sql.lstrip()[:6].upper() != "SELECT":
            self._written.update(_numbers_in(values))

    def findings(self) -> list[Any]:
        """What the audit has to say."""
        return list(run.audit(self.core.whole.sessions, AsOf(self.core.rules.ledger, self.clock.now)))

    def close(self) -> None:
        self._engine.dispose()


def _numbers_in(values: Any) -> Iterator[int]:
    if isinstance(values, int):
        yield values
    elif isinstance(values, Mapping):
        yield from _numbers_in(tuple(values.values()))
    elif isinstance(values, Sequence) and not isinstance(values, str | bytes):
        for each in values:
            yield from _numbers_in(each)


def shown(row: AnyRow) -> str:
    """An agreement, for the history of a disagreement."""
    return (
        f"{row.id} {row.status} ended_by={row.ended_by!r} anchor={row.anchor_at} next={row.next_period}"
        f" paid_until={row.paid_until} charge_at={row.next_charge_at} work_at={row.next_work_at}"
        f" cancel_at={row.cancel_at} problem={row.problem!r}"
    )
