"""Brings the books of one captured payment to where its facts say they must be: money, and coins by policy.

Every transfer names as its cause the one that it takes back, and only differences to what is booked under that cause
are booked, under the lock of the order. So no road books twice, and no order of telling matters.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from functools import partial
from typing import Any

from app.domain.gifts import GiftClawback
from app.domain.ledger import JOURNAL, AccountName, Lot, Transfer, system
from app.domain.refunding import MONEY_KINDS, REFUND, REFUND_UNDONE, Clawback, Refunded, RefundStatus, of_amount
from app.models.base import AnyRow
from app.services.base.context import Tx
from app.services.base.transaction import Transaction
from app.services.ledger import clawback, hold_rows
from app.services.ledger.clawback import Booked, ClawbackResult, ClawbackTarget, StatementText
from app.services.ledger.hold_rows import Held
from app.services.ledger.ledger_transaction import LedgerTransaction
from app.services.refunds import recall_rows
from app.services.refunds.captured_payments import CapturedPayment

_FATES = ("taken", "debt", "forgiven")
"""What may become of refunded coins."""


@dataclass(frozen=True, slots=True)
class MoneyTarget:
    """One leg of a captured payment's money, and how much of that is to be taken back from where it went."""

    leg: Transfer
    cause: uuid.UUID
    """The id of the leg's transfer."""
    target: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What bringing the books there came to."""

    changed: bool = False
    """Whether money or coins had to be moved."""
    owing: Set[str] = frozenset()
    """The assets in which coins became a debt."""
    coins: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What happened to the coins, by the refund's number at the provider."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a captured payment must stand, and the words and rules by which its books are brought there.

    `ending` are refunds of ours that end with this: their reserved coins are let go of first, and used. `others` are
    under way: what they have reserved is used as far as coins are missing. `may_recall`: coins that were given away are
    asked back from where they are, if that is the setting.
    """

    captured: CapturedPayment
    refunded: Refunded
    policy: Clawback
    words: StatementText
    ending: Sequence[AnyRow]
    others: Sequence[AnyRow]
    effective_at: datetime | None = None
    """When that happened, by the fact that told of it."""
    may_recall: bool = True

    @property
    def has_to_be_booked(self) -> bool:
        """Whether books may differ from the facts: only what was done once was ever booked."""
        return bool(self.ending) or any(told.done_at is not None for told in self.refunded.refunds.values())


def settle(tx: Tx, wanted: Settlement) -> Settled:
    """Book the difference between the facts and the books, read under the locks of the order and of the wallets."""
    if not wanted.has_to_be_booked:
        return Settled()
    slot, captured = wanted.captured.slot, wanted.captured
    legs, claims = money_targets(captured, wanted.refunded), claims_of(captured, wanted.refunded)
    places = clawback.places_of_claims(slot, claims)
    for money in legs:
        house = money.leg.credit
        journal = system(JOURNAL, house.asset, house.environment)
        places |= {(slot, house), (slot, _clearing(captured, house)), (slot, journal)}
    stand = _Standing(tx, wanted, legs, claims)
    open_books = partial(LedgerTransaction, tx, places, with_lots=True, ask=stand.ask)
    with open_books() as books:
        books.know_holds(stand.holds())
        if not clawback.expire_claimed(books, slot, claims):
            return _book(books, stand)
    with open_books() as books:
        books.know_holds(stand.holds())
        return _book(books, stand)


@dataclass(slots=True)
class _Standing:
    """How the books of one captured payment must stand, and how they do: that is read in one flight with the locks."""

    tx: Tx
    wanted: Settlement
    legs: Sequence[MoneyTarget]
    claims: Sequence[ClawbackTarget]
    booked: Callable[[], Mapping[uuid.UUID, Booked]] = field(init=False)
    """Gives what was booked before because of each transfer."""
    lots: clawback.LotsOfPurchase = field(init=False)
    holds: Callable[[], Mapping[uuid.UUID, Held | None]] = field(init=False)
    """Gives the reservations with these names."""
    ending: Sequence[uuid.UUID] = field(init=False)
    """What refunds that end with this may have reserved."""
    others: Sequence[uuid.UUID] = field(init=False)
    """What refunds that are under way may have reserved."""

    def ask(self) -> None:
        """Ask for that with what is sent next, which locks."""
        captured, wanted = self.wanted.captured, self.wanted
        self.booked = clawback.ask_booked(self.tx, captured.slot, _causes(self.legs, self.claims))
        self.lots = clawback.ask_lots(self.tx, captured.slot, self.claims)
        self.ending, self.others = holds_of(captured, wanted.ending), holds_of(captured, wanted.others)
        self.holds = hold_rows.ask_holds(self.tx, captured.slot, [*self.ending, *self.others])


def _book(books: LedgerTransaction, stand: _Standing) -> Settled:
    tx, wanted, legs, claims, known = stand.tx, stand.wanted, stand.legs, stand.claims, stand.booked()
    captured, slot = wanted.captured, wanted.captured.slot
    changed, results = False, list[ClawbackResult]()
    for money in legs:
        done = known[money.cause]
        minor = money.target - returned(done)
        if minor:
            books.post(slot, _money(wanted, money, minor, done.times))
            changed = True
    for claim in claims:
        changed |= claim.target != accounted(known[claim.grant], claim.target)
    if claims and (changed or wanted.ending):
        results = clawback.claw(
            books,
            slot,
            claims,
            known,
            stand.lots,
            policy=wanted.policy,
            ending=stand.ending,
            spare=stand.others,
            words=wanted.words,
            recall=wanted.may_recall and tx.core.rules.gifts.clawback is GiftClawback.RECEIVER_FIRST,
        )
    for claim, result in zip(claims, results, strict=False):
        if result.step.recall:
            recall_rows.add(tx, captured, claim, result.step.recall, policy=wanted.policy, words=wanted.words)
    owing = {result.asset for result in results if result.step.owe}
    return Settled(changed, owing, _coins_by_refund(wanted, claims, known, results))


def money_targets(captured: CapturedPayment, now: Refunded) -> list[MoneyTarget]:
    """How much of each leg must have been taken back. Money that was moved out of suspense is refunded from where it
    went, so nothing stays refunded from suspense itself."""
    targets = list[MoneyTarget]()
    for number, leg in enumerate(captured.money_legs, 1):
        is_last = number == len(captured.money_legs)
        targets.append(MoneyTarget(leg, leg.id_in(captured.slot), of_amount(now.part, leg.amount) if is_last else 0))
    return targets


def claims_of(captured: CapturedPayment, now: Refunded) -> list[ClawbackTarget]:
    return [
        ClawbackTarget(
            grant=grant.id_in(captured.slot),
            wallet=grant.credit,
            granted=grant.amount,
            lot=grant.lot or Lot(),
            target=of_amount(now.part, grant.amount),
        )
        for grant in captured.grants
    ]


def _coins_by_refund(
    wanted: Settlement,
    claims: Sequence[ClawbackTarget],
    known: Mapping[uuid.UUID, Booked],
    results: Sequence[ClawbackResult],
) -> dict[str, list[dict[str, Any]]]:
    """What the books say happened to the coins, shared out among the refunds that stand, in the order in which they
    were done: so the shares follow from what was told and booked, not from the order of telling."""
    booked: dict[str, dict[str, int]] = {}
    for claim in claims:
        taken, entry = known[claim.grant].taken, booked.setdefault(claim.wallet.asset, dict.fromkeys(_FATES, 0))
        entry["taken"] += taken.coins + taken.recalled
        entry["debt"] += taken.owed
        entry["forgiven"] += taken.forgiven
    for result in results:
        step, entry = result.step, booked[result.asset]
        entry["taken"] += step.take + step.recall - step.give_back
        entry["debt"] += step.owe - step.cancel
        entry["forgiven"] += step.forgive - step.unforgive
    level, found = Fraction(0), dict[str, list[dict[str, Any]]]()
    for told in wanted.refunded.refunds.values():
        if told.status is not RefundStatus.DONE:
            continue
        before, level = level, min(wanted.refunded.part, level + told.part - told.undone)
        due = dict.fromkeys(booked, 0)
        for claim in claims:
            due[claim.wallet.asset] += of_amount(level, claim.granted) - of_amount(before, claim.granted)
        found[told.number] = [_share(asset, booked[asset], due[asset]) for asset in sorted(due) if due[asset]]
    return found


def _share(asset: str, booked: dict[str, int], due: int) -> dict[str, Any]:
    """Take up to `due` coins out of what is booked: those that were taken first."""
    share: dict[str, Any] = {"asset": asset}
    for name, there in booked.items():
        share[name] = max(0, min(due, there))
        booked[name] -= share[name]
        due -= share[name]
    return share


def holds_of(captured: CapturedPayment, refunds: Iterable[AnyRow]) -> list[uuid.UUID]:
    """The holds with which refunds of ours may have reserved coins."""
    holds = dict[uuid.UUID, None]()  # paid coins and bonus lie in one wallet
    for refund in refunds:
        for grant in captured.grants:
            holds[clawback.hold_of_refund(captured.slot, grant.credit, refund.id)] = None
    return list(holds)


def returned(known: Booked) -> int:
    """How much money of a leg the books say went back."""
    return known.sums.get(REFUND, 0) - known.sums.get(REFUND_UNDONE, 0)


def accounted(known: Booked, target: int) -> int:
    """What is taken already; what an operator reversed or what expired unused counts, but is never given back."""
    return max(known.taken.by_refunds, min(target, known.taken.accounted))


def booked_before(
    tx: Transaction, slot: int, legs: Sequence[MoneyTarget], claims: Sequence[ClawbackTarget]
) -> Mapping[uuid.UUID, Booked]:
    """What the books hold about the refunds of a captured payment, by the transfer that was taken back."""
    return clawback.booked(tx, slot, _causes(legs, claims))


def _causes(legs: Sequence[MoneyTarget], claims: Sequence[ClawbackTarget]) -> list[uuid.UUID]:
    return [*(money.cause for money in legs), *(claim.grant for claim in claims)]


def _clearing(captured: CapturedPayment, house: AccountName) -> AccountName:
    """The account of what the provider owes us: money goes back out of it."""
    return system(f"clearing:{captured.paid.provider_account}", house.asset, house.environment)


def _money(wanted: Settlement, money: MoneyTarget, minor: int, times: int) -> Transfer:
    """So much is still to be taken out of where one leg put the money. Counting what was booked for that leg before
    gives each step a key of its own."""
    house, clearing = money.leg.credit, _clearing(wanted.captured, money.leg.credit)
    debit, credit = (house, clearing) if minor > 0 else (clearing, house)
    return Transfer(
        scope=f"refund:{money.cause.hex}",
        key=str(times),
        debit=debit,
        credit=credit,
        amount=abs(minor),
        kind=MONEY_KINDS[minor < 0],
        reference=wanted.words.reference,
        cause=money.cause,
        effective_at=wanted.effective_at,
    )
