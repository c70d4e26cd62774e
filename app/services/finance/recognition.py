"""The worker's part in recognition: for each day that is closed, the movements of the contract liability, and the
transfers that bring its account there.

A turn reads some closed days in one snapshot, without a lock, and writes figures, transfers and its progress in one
transaction, which only succeeds where the progress is still the one that it began with. So it may be stopped anywhere,
and any number of workers may try.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from functools import partial
from typing import Any, NamedTuple

import structlog
from sqlalchemy import and_, func, insert, select, text, update

from app.domain.accounting_time import TICK, ClosedMonth, accounting_date, end_of_day
from app.domain.chart import HOUSE_SLOT
from app.domain.ledger import Transfer, system
from app.domain.recognition import (
    BREAKAGE,
    BREAKAGE_BOOKED,
    EARNED,
    LIABILITY,
    OPENING_MONEY,
    OPENING_VALUE,
    RECOGNISED,
    RECOGNITION_KINDS,
    REVENUE_BREAKAGE,
    REVENUE_EARNED,
    LiabilityMove,
    Movement,
    RecognitionRules,
)
from app.models.base import AnyRow
from app.models.ledger import TRANSFERS
from app.models.recognition import FIGURES, PROGRESS
from app.models.slot_guard import sweep
from app.services.base.context import Core, Tx
from app.services.base.transaction import Transaction
from app.services.base.upsert import insert_if_new
from app.services.finance.accounting_periods import closed_months
from app.services.finance.contract_liability import LiabilityKey, closings_at, kept_closings
from app.services.finance.touched_purchases import other_movements, touched_lots, touched_places
from app.services.ledger.checkpoints import WAIT
from app.services.ledger.postings import post
from app.services.ledger.purchase_rows import SALE, groups_of
from app.services.ledger.purchases import (
    PURCHASES_AT_ONCE,
    PurchaseHistory,
    Reading,
    lots_at,
    purchases_at,
    whole_purchases,
)

MOST_DAYS_OF_TURN = 31
"""A turn takes so many days at the most, where the worker has to catch up."""
TRANSFERS_AT_ONCE = 200
_G, _T = PROGRESS.c, TRANSFERS.c
_KINDS = {
    **dict.fromkeys(EARNED, RECOGNISED),
    **dict.fromkeys(BREAKAGE, BREAKAGE_BOOKED),
    Movement.OPENED: OPENING_VALUE,
}
_OTHER_SIDE = {RECOGNISED: REVENUE_EARNED, BREAKAGE_BOOKED: REVENUE_BREAKAGE, OPENING_VALUE: OPENING_MONEY}
_log = structlog.get_logger(__name__)


class FigureKey(NamedTuple):
    """Which movements are added up."""

    booked_until: datetime
    day: date
    environment: str
    currency: str
    asset: str
    product: str
    sale_month: str
    movement: Movement


@dataclass(slots=True)
class Figures:
    """Sums of movements. Memory grows with the number of products, months and days, not with that of purchases."""

    booking_day: Callable[[date], date]
    """The day in whose reports a transfer counts that is booked now for a day."""
    coins: Counter[FigureKey] = field(default_factory=Counter)
    value: Counter[FigureKey] = field(default_factory=Counter)

    def add(self, key: FigureKey, coins: int, value_minor: int) -> None:
        self.coins[key] += coins
        self.value[key] += value_minor

    def count(self, history: PurchaseHistory, moved: LiabilityMove, end: datetime) -> None:
        """Add a movement of that purchase, which was booked on the day that ends then."""
        about = (history.environment, history.currency, moved.asset, history.product, history.sale_month)
        value = moved.value_minor if history.currency else 0
        day = self.booking_day(moved.change.day) if moved.movement in _KINDS else moved.change.day
        self.add(FigureKey(end, day, *about, moved.movement), moved.coins, value)

    def remeasured(self, about: LiabilityKey, coins: int, value_minor: int, end: datetime, reading: Reading) -> None:
        """Add what a change of the settings did to purchases of one kind."""
        day = self.booking_day(reading.day_of(end - TICK, None))
        self.add(FigureKey(end, day, *about, Movement.REMEASURED), coins, value_minor)

    def rows(self) -> list[dict[str, Any]]:
        keys = sorted(key for key in self.coins.keys() | self.value.keys() if self.coins[key] or self.value[key])
        return [{**key._asdict(), "coins": self.coins[key], "value_minor": self.value[key]} for key in keys]


@dataclass(frozen=True, slots=True)
class RecognitionTurn:
    """What one turn worked out."""

    before: AnyRow | None
    """The progress that it began with; None for the first turn of all."""
    until: datetime
    at: datetime
    """When the turn was worked out; its transfers bear this time."""
    zone: tzinfo
    figures: Figures


def recognise_next(core: Core) -> bool:
    """Work out the oldest closed days that are missing. False if none is, or another worker was faster."""
    turn = core.whole.read(work_out, snapshot=True)
    if turn is None or not core.house.transact(partial(write_turn, turn=turn)):
        return False
    _log.info("revenue_recognised", until=turn.until.isoformat())
    return True


def progress(tx: Transaction) -> AnyRow | None:
    """How far recognition is; None before the first turn."""
    return tx.execute(select(PROGRESS)).one_or_none()


def not_recognised(tx: Transaction, until: datetime, booked_until: datetime) -> str:
    """Why the days before `until` cannot be closed with what is booked before `booked_until`; empty where they can."""
    done = progress(tx)
    if done is None:
        paid = select(func.min(_T.created_at)).prefix_with(sweep("report")).where(_T.kind == SALE)
        begun: datetime | None = tx.scalar(paid)
        return "" if begun is None or begun >= until else "no revenue is recognised yet: the worker does it"
    if done.booked_until < until:
        return f"revenue is recognised until {done.booked_until.isoformat()} only: the worker does the rest"
    late = select(func.max(_T.created_at)).prefix_with(sweep("report")).where(_T.kind.in_(RECOGNITION_KINDS))
    last: datetime | None = tx.scalar(late.where(_T.effective_at < until, _T.created_at >= booked_until))
    return "" if last is None else f"revenue of the month was recognised at {last.isoformat()}: close it two days later"


def reading_at(tx: Transaction, rules: RecognitionRules, zone: tzinfo, since: datetime) -> Reading:
    """How purchases are read for figures of what was booked from that moment on."""
    return Reading(rules, partial(_day_of, closed=closed_months(tx), zone=zone), since, zone)


def _day_of(booked: datetime, happened: datetime | None, *, closed: Sequence[ClosedMonth], zone: tzinfo) -> date:
    return accounting_date(booked, happened, closed, zone)


def ends_of_days(since: datetime, until: datetime, zone: tzinfo) -> list[datetime]:
    """The ends, not after `until`, of the days in that zone from that of `since` on, MOST_DAYS_OF_TURN at the most."""
    ends, day = list[datetime](), since.astimezone(zone).date()
    while len(ends) < MOST_DAYS_OF_TURN:
        end = end_of_day(day, zone)
        day += timedelta(days=1)
        if end > until:
            break
        if end > since:
            ends.append(end)
    return ends


# --- working out ---


def work_out(tx: Tx) -> RecognitionTurn | None:
    rules, before = tx.core.rules, progress(tx)
    since = before.booked_until if before is not None else _first_booking(tx)
    ends = [] if since is None else ends_of_days(since, tx.now - WAIT, rules.ledger.zone)
    if since is None or not ends:
        return None
    if tx.connection().dialect.name == "postgresql":
        tx.execute(text("SET LOCAL statement_timeout = 0"))  # a day's transfers may be many; nothing is locked
    zone = rules.ledger.zone
    reading = reading_at(tx, rules.recognition, zone, since)
    figures = Figures(partial(_booking_day, now=tx.now, closed=closed_months(tx), zone=zone))
    if before is not None and before.rules != rules.recognition.as_text():
        _remeasure(tx, reading, figures, ends[0])
    for history in _touched_histories(tx, reading, since, ends[-1]):
        for moved in history.standing.follow(history.changes):
            if since <= moved.change.booked_at < ends[-1]:
                figures.count(history, moved, ends[bisect_right(ends, moved.change.booked_at)])
    for row in other_movements(tx, since, ends[-1]):
        day = reading.day_of_row(row)
        end = ends[bisect_right(ends, row.created_at)]
        figures.add(FigureKey(end, day, row.environment, row.asset, "", "", "", Movement.ADJUSTED), 0, row.value_minor)
    return RecognitionTurn(before, ends[-1], tx.now, zone, figures)


def _touched_histories(tx: Transaction, reading: Reading, start: datetime, end: datetime) -> Iterator[PurchaseHistory]:
    for places in whole_purchases(touched_places(tx, start, end)):
        yield from purchases_at(tx, places, reading)
    for names in groups_of(touched_lots(tx, start, end), PURCHASES_AT_ONCE):
        yield from lots_at(tx, names, reading)


def _remeasure(tx: Transaction, reading: Reading, figures: Figures, end: datetime) -> None:
    """The settings changed: bring what the figures come to so far to what the settings of now say."""
    told = kept_closings(tx)
    for key, (coins, value) in closings_at(tx, reading).items():
        before = told.pop(key, (0, 0))
        figures.remeasured(key, coins - before[0], value - before[1], end, reading)
    for key, (coins, value) in told.items():
        figures.remeasured(key, -coins, -value, end, reading)


def _first_booking(tx: Transaction) -> datetime | None:
    """When the books begin."""
    first: datetime | None = tx.scalar(select(func.min(TRANSFERS.c.created_at)).prefix_with(sweep("report")))
    return first


def _booking_day(day: date, *, now: datetime, closed: Sequence[ClosedMonth], zone: tzinfo) -> date:
    return accounting_date(now, end_of_day(day, zone) - TICK, closed, zone)


# --- writing down ---


def write_turn(tx: Tx, turn: RecognitionTurn) -> bool:
    """False if another worker's turn came first."""
    now = {"booked_until": turn.until, "rules": tx.core.rules.recognition.as_text()}
    if turn.before is None:
        if not insert_if_new(tx, PROGRESS, {"id": 1, **now}):
            return False
    else:
        begun = and_(_G.booked_until == turn.before.booked_until, _G.rules == turn.before.rules)
        if tx.execute(update(PROGRESS).where(begun).values(now)).rowcount != 1:
            return False
    rows = turn.figures.rows()
    if rows:
        tx.execute(insert(FIGURES), rows)
    for part in groups_of(transfers_of_figures(rows, turn.zone), TRANSFERS_AT_ONCE):
        post(tx, HOUSE_SLOT, part, at=turn.at)
    return True


def transfers_of_figures(rows: Iterable[Mapping[str, Any]], zone: tzinfo) -> list[Transfer]:
    """What has to be booked for these figures: one transfer for each day, account, currency and environment."""
    sums = Counter[tuple[datetime, date, str, str, str]]()
    for row in rows:
        kind = _KINDS.get(Movement(row["movement"]))
        if kind is not None:
            sums[row["booked_until"], row["day"], row["environment"], row["currency"], kind] += row["value_minor"]
    return [_transfer(*about, effect, zone) for about, effect in sorted(sums.items()) if effect]


def _transfer(
    until: datetime, day: date, environment: str, currency: str, kind: str, effect: int, zone: tzinfo
) -> Transfer:
    liability = system(LIABILITY, currency, environment)
    other = system(_OTHER_SIDE[kind], currency, environment)
    return Transfer(
        scope=f"recognition:{kind}",
        key=f"{until.isoformat()}:{day}:{environment}:{currency}",
        debit=other if effect > 0 else liability,
        credit=liability if effect > 0 else other,
        amount=abs(effect),
        kind=kind,
        reference=day.isoformat(),
        effective_at=end_of_day(day, zone) - TICK,
    )
