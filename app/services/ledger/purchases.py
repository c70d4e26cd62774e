"""Purchases as recognition sees them: their pools of coins as they stood at a moment, and what happened since.

How they stood is worked out backwards from what is left now, so that only what was booked since has to be read. Those
of which money went back since are told from their beginning: it counts whether their revenue was use or breakage.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from functools import cached_property
from itertools import groupby
from operator import attrgetter, itemgetter

from app.domain.fulfilment import FulfilledBy
from app.domain.gifts import GIFT, GIFT_RECALLED, GIFT_RECEIVED
from app.domain.ledger import EXPIRY, REVERSAL
from app.domain.lots import uses_in
from app.domain.plan_revenue import PlanPool, ends_of_plan_days
from app.domain.recognition import (
    NO_BREAKAGE,
    Allocation,
    ChangeCause,
    Pool,
    PooledPurchase,
    PurchaseChange,
    RecognitionRules,
)
from app.domain.refunding import CLAWBACK, RETURNED
from app.models.base import AnyRow
from app.services.base.transaction import Transaction
from app.services.ledger.purchase_rows import (
    LotName,
    PurchasePlace,
    PurchaseRows,
    home_of,
    minor_back,
    postings_of,
    read_named_lots,
    read_purchases,
    versions_before,
)

PURCHASES_AT_ONCE = 200
"""So many purchases are read by one set of statements."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How purchases are read: by which rules, on which day something counts that was booked at one moment and happened
    at another (None: then, too), and from which moment on changes are wanted (None: only how it stands now)."""

    rules: RecognitionRules
    day_of: Callable[[datetime, datetime | None], date]
    since: datetime | None = None
    zone: tzinfo = UTC
    """In which days begin."""

    def day_of_row(self, row: AnyRow) -> date:
        return self.day_of(row.created_at, row.effective_at)


@dataclass(slots=True)
class PurchaseHistory:
    """One purchase: what was bought, how it stood at the wanted moment, and the later changes in their order. Where a
    purchase is told from its beginning, the changes begin with its payment."""

    environment: str
    currency: str
    """Empty where nobody told the price of the purchase."""
    product: str
    sale_month: str
    standing: PooledPurchase
    changes: Sequence[PurchaseChange] = ()
    payment: str = ""
    """The number of the payment; empty for a lot that nobody bought here."""
    holders: Sequence[tuple[str, str, int]] = ()
    """Who has how many of its coins that bear value at present: asset, user, coins. Coins of a gift under way are the
    rest."""


_Place = tuple[datetime, int, int, int, int]
"""The order of changes: money before coins where both were booked at one moment."""


@dataclass
class _Bought:
    """The rows of one purchase on the way to its history."""

    payment: str
    """Empty for a lot that nobody bought here."""
    lots: list[AnyRow]
    under_way: Sequence[AnyRow] = ()
    sales: Sequence[AnyRow] = ()
    refunds: Sequence[AnyRow] = ()
    from_start: bool = False
    """Whether it is told from its beginning."""
    changes: list[tuple[_Place, PurchaseChange]] = field(default_factory=list)

    @cached_property
    def brought(self) -> list[AnyRow]:
        """The lots that it began with, neither given on nor given back; oldest first."""
        first = [lot for lot in self.lots if not self.payment or lot.kind not in (GIFT_RECEIVED, RETURNED)]
        return sorted(first, key=lambda lot: (lot.created_at, lot.slot, lot.account_id, lot.version))

    @cached_property
    def grants(self) -> set[uuid.UUID]:
        """The transfers that brought them."""
        return {lot.id for lot in self.brought}

    def counts(self, row: AnyRow, allocation: Allocation) -> bool:
        """Whether a lot, or a part of a gift, bears value: paid coins do, and by setting the bonus beside them. A
        purchase of bonus coins alone has its money on those."""
        paid = {lot.asset for lot in self.brought if not lot.bonus}
        if not paid or (allocation is Allocation.ALL and self.payment):
            return not paid or row.asset in paid
        return not row.bonus

    def price_of(self, lot: AnyRow, members: Sequence[AnyRow]) -> int:
        """The money of a lot that a sale made. What no lot of a sale says, as where it has bonus coins alone, is on
        the first."""
        price = int(lot.value_minor)
        if self.sales and lot is next(each for each in self.brought if each in members):
            price += sum(row.amount for row in self.sales) - sum(each.value_minor for each in self.brought)
        return price


def whole_purchases(places: Iterable[PurchasePlace]) -> Iterator[list[PurchasePlace]]:
    """The places, which come in the order of payments, in parts that divide no purchase."""
    part = list[PurchasePlace]()
    for _, group in groupby(places, attrgetter("payment")):
        part += group
        if len(part) >= PURCHASES_AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def purchases_at(tx: Transaction, places: Sequence[PurchasePlace], reading: Reading) -> Iterator[PurchaseHistory]:
    """The purchases of which there are lots in these places; the other places of each are found from its number."""
    rows = read_purchases(tx, places)
    yield from _histories(tx, list(_bought(rows, sorted({place.payment for place in places}))), reading)
    for payment, order in rows.orders.items():
        if rows.sales[payment]:
            yield _promise(order, rows.sales[payment], rows.refunds[payment], reading)


def lots_at(tx: Transaction, names: Sequence[LotName], reading: Reading) -> Iterator[PurchaseHistory]:
    """Lots that nobody bought here, each as a purchase of its own."""
    return _histories(tx, [_Bought("", [row]) for row in read_named_lots(tx, names)], reading)


def _bought(rows: PurchaseRows, payments: Iterable[str]) -> Iterator[_Bought]:
    for payment in payments:
        lots, home = rows.lots.get(payment, []), home_of(payment)
        if lots and (rows.sales[payment] or any(lot.slot == home for lot in lots)):
            yield _Bought(payment, lots, rows.under_way[payment], rows.sales[payment], rows.refunds[payment])
        else:  # the text is no number of a payment of ours
            for lot in lots:
                yield _Bought("", [lot])


def _histories(tx: Transaction, wanted: Sequence[_Bought], reading: Reading) -> Iterator[PurchaseHistory]:
    if reading.since is not None:
        _note_changes(tx, wanted, reading, reading.since)
    for bought in wanted:
        if bought.brought:
            yield _history(bought, reading)


# --- what happened ---


def _note_changes(tx: Transaction, wanted: Sequence[_Bought], reading: Reading, since: datetime) -> None:
    owners = dict[LotName, tuple[_Bought, AnyRow]]()
    for bought in wanted:
        bought.from_start = any(row.created_at >= since for row in bought.refunds)
        for lot in bought.lots:
            owners[LotName(lot.slot, lot.account_id, lot.version)] = (bought, lot)
    versions = versions_before(tx, {name[:2] for name in owners}, since)
    for name, (bought, _) in owners.items():
        if bought.from_start:
            versions[name[:2]] = min(versions[name[:2]], name.version - 1)
    for posting in postings_of(tx, versions):
        for version, amount in [(posting.lot, posting.amount)] if posting.lot else uses_in(posting.uses):
            owner = owners.get(LotName(posting.slot, posting.book_id, version))
            if owner is not None and (owner[0].from_start or posting.created_at >= since):
                _note_posting(*owner, posting, amount, reading)
    for bought in wanted:
        for row in bought.refunds:
            if bought.from_start or row.created_at >= since:
                change = PurchaseChange(
                    row.created_at, reading.day_of_row(row), ChangeCause.REFUND, refunded_minor=minor_back(row)
                )
                bought.changes.append(((row.created_at, 0, row.slot, 0, 0), change))


def _note_posting(bought: _Bought, lot: AnyRow, posting: AnyRow, amount: int, reading: Reading) -> None:
    cause = _cause_of(bought, lot, posting)
    if cause is None or not bought.counts(lot, reading.rules.allocation):
        return
    coins = amount if posting.is_credit else -amount
    granted, price = 0, 0
    if posting.version == lot.version and cause is not ChangeCause.REFUND:
        members = [each for each in bought.lots if bought.counts(each, reading.rules.allocation)]
        granted, price = lot.granted, bought.price_of(lot, members)
    # Coins count on the day of the money that was booked with them.
    by_money = bought.sales if cause is ChangeCause.SALE else bought.refunds if cause is ChangeCause.REFUND else ()
    with_it = next((row for row in by_money if row.created_at == posting.created_at), posting)
    change = PurchaseChange(posting.created_at, reading.day_of_row(with_it), cause, lot.asset, coins, granted, price)
    bought.changes.append(((posting.created_at, 1, posting.slot, posting.book_id, posting.version), change))


def _cause_of(bought: _Bought, lot: AnyRow, posting: AnyRow) -> ChangeCause | None:
    """Why the posting changed the coins of the purchase; None where it only moved them to another user."""
    given = None if bought.payment else ChangeCause.GIFT
    if posting.kind == GIFT or (posting.kind == REVERSAL and posting.of_kind == GIFT):
        return given
    if posting.version == lot.version:
        if posting.kind == GIFT_RECEIVED:
            return given
        if posting.kind == RETURNED and bought.payment:
            return ChangeCause.REFUND
        has_money = bought.sales or not any(each.value_minor for each in bought.lots)
        return ChangeCause.SALE if bought.payment and has_money else ChangeCause.OPENING
    if posting.kind == EXPIRY:
        return ChangeCause.EXPIRY
    is_own = posting.kind == CLAWBACK and posting.cause_id in bought.grants
    return ChangeCause.REFUND if is_own or posting.kind == GIFT_RECALLED else ChangeCause.USE


# --- how it stood ---


def _history(bought: _Bought, reading: Reading) -> PurchaseHistory:
    rules, brought = reading.rules, bought.brought
    members = [lot for lot in bought.lots if bought.counts(lot, rules.allocation)]
    priced = next((lot for lot in brought if lot.value_minor), brought[0])
    about = bought.sales[0] if bought.sales else brought[0]
    expected = rules.expected_breakage.get(priced.product, NO_BREAKAGE) if bought.payment else NO_BREAKAGE
    standing = PooledPurchase({asset: Pool(asset, expected) for asset in sorted({lot.asset for lot in members})})
    changes = [change for _, change in sorted(bought.changes, key=itemgetter(0))]
    if not bought.from_start:
        _stand(standing, bought, members, changes, reading)
    return PurchaseHistory(
        environment=about.environment,
        currency=bought.sales[0].asset if bought.sales else priced.currency,
        product=priced.product,
        sale_month=reading.day_of_row(about).strftime("%Y-%m"),
        standing=standing,
        changes=changes,
        payment=bought.payment,
        holders=[(lot.asset, lot.user_id, lot.left) for lot in members if lot.left],
    )


def _stand(
    standing: PooledPurchase,
    bought: _Bought,
    members: Sequence[AnyRow],
    changes: Sequence[PurchaseChange],
    reading: Reading,
) -> None:
    """Work out how the pools stood at the moment, from what is left now and what happened since."""
    since, pools = reading.since, standing.pools
    for lot in members:
        pools[lot.asset].unspent += lot.left
    for part in bought.under_way:
        if bought.counts(part, reading.rules.allocation) and part.asset in pools:
            pools[part.asset].unspent += part.amount
    for change in changes:
        if change.asset in pools:
            pools[change.asset].unspent -= change.coins
    for lot in bought.brought:
        if lot in members and (since is None or lot.created_at < since):
            pools[lot.asset].bought += lot.granted
            pools[lot.asset].price_minor += bought.price_of(lot, members)
    standing.refunded_minor = sum(minor_back(row) for row in bought.refunds if since is None or row.created_at < since)
    standing.share_refunds()


def _promise(order: AnyRow, sales: Sequence[AnyRow], refunds: Sequence[AnyRow], reading: Reading) -> PurchaseHistory:
    """A purchase that brought no coins into our wallets. A plan is kept day by day; what the app's backend has to
    deliver, when it has; anything else, when it is paid."""
    sales = sorted(sales, key=attrgetter("created_at"))
    changes = list[tuple[_Place, PurchaseChange]]()
    is_plan = order.earned_until is not None and reading.rules.plans_by_day
    kept = list(_days_kept(order, sales[0], reading) if is_plan else _kept(order, sales[0], reading))
    for number, row in enumerate(sales):
        parts = 0 if number else max(1, len(kept))
        change = PurchaseChange(
            row.created_at, reading.day_of_row(row), ChangeCause.SALE, "", parts, parts, int(row.amount)
        )
        changes.append(((row.created_at, 0, number, 0, 0), change))
    for number, row in enumerate(refunds):
        back = PurchaseChange(
            row.created_at, reading.day_of_row(row), ChangeCause.REFUND, refunded_minor=minor_back(row)
        )
        changes.append(((row.created_at, 1, number, 0, 0), back))
    for number, (moment, day) in enumerate(kept):
        changes.append(((moment, 2, number, 0, 0), PurchaseChange(moment, day, ChangeCause.USE, "", -1)))
    history = PurchaseHistory(
        environment=sales[0].environment,
        currency=sales[0].asset,
        product=order.sku,
        sale_month=reading.day_of_row(sales[0]).strftime("%Y-%m"),
        standing=PooledPurchase({"": PlanPool("") if is_plan else Pool("")}),
        changes=[change for _, change in sorted(changes, key=itemgetter(0))],
    )
    if reading.since is None:
        deque(history.standing.follow(history.changes), maxlen=0)
        history.changes = ()
    return history


def _days_kept(order: AnyRow, sale: AnyRow, reading: Reading) -> Iterator[tuple[datetime, date]]:
    """When each day of a plan counts as booked, and in whose reports: days of before the payment was booked are earned
    with it."""
    for end in ends_of_plan_days(order.starts_at, order.earned_until, reading.zone):
        booked = max(end, sale.created_at)
        yield booked, reading.day_of(booked, end)


def _kept(order: AnyRow, sale: AnyRow, reading: Reading) -> Iterator[tuple[datetime, date]]:
    if order.fulfilment != FulfilledBy.EXTERNAL:
        yield sale.created_at, reading.day_of_row(sale)
    elif order.delivered_at is not None:
        yield order.delivered_at, reading.day_of(order.delivered_at, None)
