"""What every use case needs besides a transaction: made once by the composition root, shared by all threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Generic, Protocol, TypeVar

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.domain.charging import ChargingRules
from app.domain.chart import FinanceRules
from app.domain.deciding import PaymentPolicy
from app.domain.endpoints import PushRules
from app.domain.fulfilment import RefusedFulfilment
from app.domain.gifts import GiftRules
from app.domain.limits import LedgerRules
from app.domain.numbers import NumberSource, slot_of_number, slot_of_user
from app.domain.recognition import RecognitionRules
from app.domain.refunding import Clawback
from app.domain.schedule import AskRules
from app.providers.registry import Registry
from app.providers.tools import Clock
from app.services.base.databases import Databases
from app.services.base.errors import SlotsFrozen
from app.services.base.replica import Replica
from app.services.base.transaction import Sessions, Transaction, alone, read, transact

UNANSWERED = (OperationalError, InterfaceError, PoolTimeout, SlotsFrozen)
"""What a database raises that does not answer, or whose slots are frozen: the others may answer."""
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_log = structlog.get_logger(__name__)


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


_as_of: ContextVar[datetime | None] = ContextVar("as_of", default=None)


@dataclass(frozen=True, slots=True)
class ProviderClock:
    """The clock that plugins are handed: the real one, but for messages that are read again (`as_of`)."""

    real: Clock

    def now(self) -> datetime:
        return _as_of.get() or self.real.now()


@contextlib.contextmanager
def as_of(moment: datetime) -> Iterator[None]:
    """Inside, plugins judge what is fresh as they did at that moment, when the message in hand first came."""
    token = _as_of.set(moment)
    try:
        yield
    finally:
        _as_of.reset(token)


@dataclass(frozen=True, slots=True)
class Rules:
    """The policies of this installation."""

    policy: PaymentPolicy = field(default_factory=PaymentPolicy)
    ask: AskRules = field(default_factory=AskRules)
    order_minutes: int = 30
    """How long an order can be paid."""
    most_open_orders: int = 50
    """Of one user at one time."""
    most_starts_per_minute: int = 30
    """Payments that one user may start within a minute."""
    message_days: int = 90
    """How long a kept message that is settled is kept."""
    question_days: int = 90
    """How long a question to a provider that has ended is kept after it was asked last."""
    call_days: int = 180
    """How long it is remembered how a call to a provider ended."""
    event_days: int = 30
    """How long events are kept for readers of the feed."""
    push: PushRules = field(default_factory=PushRules)
    """How events are sent to endpoints."""
    clawback: Clawback = Clawback.DEBT
    """What becomes of refunded coins that are spent."""
    ledger: LedgerRules = field(default_factory=LedgerRules)
    """In which order lots are spent, and how much a user may spend."""
    refused_fulfilment: RefusedFulfilment = RefusedFulfilment.HOLD
    """What happens to the money of an order that the app's backend refused to fulfil."""
    recognition: RecognitionRules = field(default_factory=RecognitionRules)
    """How the money of unspent coins becomes revenue."""
    gifts: GiftRules = field(default_factory=GiftRules)
    """Whether and how much users may give to each other."""
    charges: ChargingRules = field(default_factory=ChargingRules)
    """How agreements are charged."""
    finance: FinanceRules = field(default_factory=FinanceRules)
    """Who may post journal entries alone, and how the company calls its accounts."""
    assets: frozenset[str] = frozenset()
    """What callers may grant and debit beside the assets of products."""


class Bulkheads:
    """How many calls of this process may wait for one provider account at once. The worker has these for each kind of
    work."""

    WIDTH = 4
    """Half of the threads of a web process (`app/serving.py`)."""
    PATIENCE_SECONDS = 0.5
    """A burst of orders at a healthy provider must not be turned away."""

    class Full(Exception):
        """Too many calls wait for this provider account already: this one did not happen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[str, threading.BoundedSemaphore] = {}

    @contextlib.contextmanager
    def place(self, provider_account: str) -> Iterator[None]:
        """Inside, one of the account's places is taken. Raises Full if none gets free in time."""
        with self._lock:
            places = self._places.setdefault(provider_account, threading.BoundedSemaphore(self.WIDTH))
        if not places.acquire(timeout=self.PATIENCE_SECONDS):
            raise self.Full("too many calls wait for this provider")
        try:
            yield
        finally:
            places.release()


@dataclass(frozen=True, slots=True)
class WhatAnswers(Generic[T]):
    """What was read of the databases that answer."""

    found: T
    missing: tuple[str, ...] = ()
    """Names of databases of which not everything is in it: they do not answer, or slots of theirs are moved to another
    one at this moment. Whoever shows `found` says so."""


@dataclass(frozen=True, slots=True)
class Core:
    databases: Databases
    registry: Registry
    numbers: NumberSource
    clock: Clock = field(default_factory=SystemClock)
    rules: Rules = field(default_factory=Rules)
    public_url: str = "http://127.0.0.1:8000"
    """Where providers reach us: `<public_url>/webhooks/<provider account>`."""
    bulkheads: Bulkheads = field(default_factory=Bulkheads)
    replica: Replica | None = None
    """Where reports are read; None: where everything is."""

    def at(self, slot: int) -> Place:
        """The database that holds the rows of this slot. Raises SlotsFrozen while it is moved to another one."""
        return Place(self, self.databases.of_slot(slot))

    def of_number(self, number: int) -> Place:
        """The database that holds what has this number of ours."""
        return self.at(slot_of_number(number))

    def of_user(self, user_id: str) -> Place:
        """The database that holds the data of this user."""
        return self.at(slot_of_user(user_id))

    @property
    def home(self) -> Place:
        """The database that holds what belongs to no user: callers and their keys, bills, journal, scans, endpoints."""
        return Place(self, self.databases.home)

    @property
    def house(self) -> Place:
        """Home, for transactions that book in the slot of the house (`HOUSE_SLOT`) what lies at home."""
        return Place(self, self.databases.house)

    @property
    def whole(self) -> Place:
        """All databases as one, for what needs all slots, or all slots and what lies at home, together. Where several
        databases share the slots, only what lies at home can be changed here (`base.whole`)."""
        return Place(self, self.databases.whole)

    def everywhere(self) -> tuple[Place, ...]:
        """Every database, home first: for sweeps over all slots."""
        return tuple(Place(self, sessions, number) for number, sessions in enumerate(self.databases.all))

    def guarded(
        self, work: Callable[[Place], T], *, places: Sequence[Place] | None = None, least: int = 1
    ) -> dict[int, T]:
        """What `work` gives for every database (or for these), by the number of the database. One that does not answer
        is logged and left out: the users of the others do not wait for it. Where fewer than `least` answer the error is
        raised."""
        done: dict[int, T] = {}
        failed: Exception | None = None
        for place in self.everywhere() if places is None else places:
            try:
                done[place.number] = work(place)
            except UNANSWERED as error:
                failed = error
                if len(self.databases.all) > 1:
                    self._log_left_out(place, error)
        if failed is not None and len(done) < least:
            raise failed
        return done

    def what_answers(self, work: Callable[[Tx], T]) -> WhatAnswers[T]:
        """What `work` finds in all databases read as one, but for those that do not answer and for slots that are
        moved: for people who would rather see a part, and are told that it is one. A sum of money is no such thing:
        read `whole`. Raises what home raises."""
        silent: frozenset[int] = frozenset()
        while True:
            sessions, missing = self.databases.whole_without(silent)
            try:
                return WhatAnswers(Place(self, sessions).read(work), self.names_of(missing))
            except UNANSWERED:
                further = self._silent() - silent
                if not further or 0 in further:
                    raise
                silent |= further

    def _silent(self) -> frozenset[int]:
        """The numbers of those among several databases that do not answer."""
        found = set()
        for place in self.everywhere() if len(self.databases.all) > 1 else ():
            try:
                place.read(lambda tx: tx.scalar(text("SELECT 1")))
            except UNANSWERED as error:
                self._log_left_out(place, error)
                found.add(place.number)
        return frozenset(found)

    def _log_left_out(self, place: Place, error: Exception) -> None:
        _log.error("database_left_out", database=self.databases.names[place.number], error=type(error).__name__)

    def names_of(self, numbers: Collection[int]) -> tuple[str, ...]:
        """What the settings call the databases with these numbers."""
        return tuple(self.databases.names[number] for number in sorted(numbers))

    def names_missing(self, done: Collection[int]) -> tuple[str, ...]:
        """The databases that are not among these: what `guarded` has left out."""
        return self.names_of(set(range(len(self.databases.all))).difference(done))

    def rows_everywhere(self, read: Callable[[Tx], Sequence[T]]) -> list[T]:
        """The rows of every database that answers, home's first."""
        return list(chain.from_iterable(self.guarded(lambda place: place.read(read)).values()))

    def by_database(self, items: Iterable[T], slot_of: Callable[[T], int]) -> list[tuple[Place, list[T]]]:
        """The items that lie in each database, in their order; databases without any are left out."""
        found: dict[int, list[T]] = {}
        for item in items:
            found.setdefault(self.databases.number_of(slot_of(item)), []).append(item)
        places = self.everywhere()
        return [(places[number], found[number]) for number in sorted(found)]

    def for_reports(self) -> Core:
        """The service as reports see it: it only reads, and may be behind. Not for what somebody decides by, nor for
        what a user did a moment ago. Raises ReportsUnavailable."""
        if self.replica is None:
            return self
        return replace(self, databases=self.replica.databases())


@dataclass(frozen=True, slots=True)
class Place:
    """One database of the service, and the transactions in it."""

    core: Core
    sessions: Sessions
    number: int = 0
    """Among the databases of `everywhere`."""

    def holds(self, slot: int) -> bool:
        """Whether the rows of this slot lie here."""
        return self.core.databases.number_of(slot) == self.number

    def transact(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one transaction and commit it (`base.transaction.transact` says what is promised)."""
        return transact(self.sessions, work, partial(Tx, core=self.core))

    def read(self, work: Callable[[Tx], T], *, snapshot: bool = False) -> T:
        """Run `work` in a transaction that only reads."""
        return read(self.sessions, work, partial(Tx, core=self.core), snapshot=snapshot)

    def alone(self, work: Callable[[Tx], T]) -> T:
        """Run `work`, each statement of which is a transaction of its own."""
        return alone(self.sessions, work, partial(Tx, core=self.core))


class Tx(Transaction):
    """A transaction in progress with what every use case needs in it: the service's parts, and one moment.

    `now` is read once: everything that one transaction writes bears one time.
    """

    __slots__ = ("core", "now")

    def __init__(self, connection: Connection, core: Core) -> None:
        super().__init__(connection)
        self.core = core
        self.now = core.clock.now()

    def at_home(self, work: Callable[[Tx], T]) -> T:
        """Run `work` on what lies at home: in this transaction where that is in its database, else in one of its own,
        which is committed before this one. Call it last, for what may be there though this transaction is undone."""
        home: Engine = self.core.databases.home.kw["bind"]
        return work(self) if self.connection().engine.pool is home.pool else self.core.home.transact(work)

    def here_and_elsewhere(self, work: OfDatabase[T]) -> list[T]:
        """Run `work` in this transaction, which is one at home, and in every other database in a transaction of its
        own, which is committed before this one; it gets the number of the database, too. Safe to repeat if `work`
        is."""
        others = [place.transact(partial(work, number=place.number)) for place in self.core.everywhere()[1:]]
        return [work(self, number=0), *others]


class OfDatabase(Protocol[T_co]):
    """Work that is done in each of several databases."""

    def __call__(self, tx: Tx, *, number: int) -> T_co: ...


def environment_of(live: bool) -> str:
    return "live" if live else "sandbox"
