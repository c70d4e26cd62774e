"""Brings the books of one trade to where its facts say they must be: money, and coins by policy.

Every transfer names as its cause the one that it takes back, and only differences to what is booked under that cause
are booked, under the lock of the order. So no road books twice, and no order of telling matters.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.ledger import Lot, Transfer, system
from app.domain.refunding import MONEY_KINDS, REFUND, REFUND_UNDONE, Clawback, Refunded, of_amount
from app.models.base import AnyRow
from app.services.base.context import Tx
from app.services.base.transaction import Transaction
from app.services.ledger import clawback, post
from app.services.ledger.clawback import Booked, ClawbackResult, ClawbackTarget, StatementText
from app.services.refunds.captured_payments import Trade, refunds_of, standing, under_way


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be booked for a trade now."""

    refunded: Refunded
    steps: list[MoneyStep]
    claims: list[ClawbackTarget]
    changes: bool

    @property
    def money(self) -> int:
        """Minor units that go back to the payer; negative: they came back to us."""
        return sum(step.minor for step in self.steps)


@dataclass(frozen=True, slots=True)
class MoneyStep:
    """What is still to be taken out of where one leg put the money. `times`: how often that was done before."""

    leg: Transfer
    minor: int
    times: int


def plan(tx: Transaction, trade: Trade) -> Plan:
    """The difference between the facts and the books, read under the lock of the order."""
    now = standing(tx, trade)
    known = by_cause(tx, trade)
    steps = [_step(leg, target, known[leg.id_in(trade.slot)]) for leg, target in money_targets(trade, now)]
    moving = [step for step in steps if step.minor]
    claims = claims_of(trade, now)
    open_claims = any(claim.target != accounted(known[claim.grant], claim.target) for claim in claims)
    return Plan(now, moving, claims, bool(moving) or open_claims)


def _step(leg: Transfer, target: int, known: Booked) -> MoneyStep:
    return MoneyStep(leg, target - returned(known), known.times)


def settle(
    tx: Tx, trade: Trade, wanted: Plan, *, policy: Clawback, words: StatementText, ending: AnyRow | None
) -> list[ClawbackResult]:
    """Book the plan. `ending` is the refund of ours that is done with this: its reserved coins are used first."""
    at = tx.now
    if wanted.steps:
        post(tx, trade.slot, [_money(trade, step, words.reference) for step in wanted.steps], at=at)
    if not wanted.claims:
        return []
    others = [row for row in under_way(refunds_of(tx, trade)) if ending is None or row.id != ending.id]
    return clawback.claw(
        tx,
        trade.slot,
        wanted.claims,
        policy=policy,
        ending=[] if ending is None else holds_of(trade, ending),
        spare=[hold for row in others for hold in holds_of(trade, row)],
        words=words,
        at=at,
        rules=tx.core.rules.ledger,
    )


def money_targets(trade: Trade, now: Refunded) -> list[tuple[Transfer, int]]:
    """How much of each leg must have been taken back. Money that was moved out of suspense is refunded from where it
    went, so nothing stays refunded from suspense itself."""
    if not trade.money_legs:
        return []
    *left, last = trade.money_legs
    return [*((leg, 0) for leg in left), (last, of_amount(now.part, last.amount))]


def claims_of(trade: Trade, now: Refunded) -> list[ClawbackTarget]:
    return [
        ClawbackTarget(
            grant=grant.id_in(trade.slot),
            wallet=grant.credit,
            granted=grant.amount,
            lot=grant.lot or Lot(),
            target=of_amount(now.part, grant.amount),
        )
        for grant in trade.grants
    ]


def told_of(outcomes: Sequence[ClawbackResult]) -> list[dict[str, Any]]:
    """What happened to the coins, by asset, as it is kept on the refund and shown."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: {"taken": 0, "debt": 0, "forgiven": 0})
    for outcome in outcomes:
        if outcome.changed:
            entry, step = sums[outcome.asset], outcome.step
            entry["taken"] += step.take - step.give_back
            entry["debt"] += step.owe - step.cancel
            entry["forgiven"] += step.forgive - step.unforgive
    return [{"asset": asset, **entry} for asset, entry in sorted(sums.items())]


def hold_key(refund_id: int, asset: str) -> str:
    return f"{refund_id}:{asset}"


def holds_of(trade: Trade, refund: AnyRow) -> list[uuid.UUID]:
    """The holds with which a refund of ours may have reserved coins."""
    return [
        clawback.hold_id(trade.slot, grant.credit.user_id, hold_key(refund.id, grant.credit.asset))
        for grant in {grant.credit: grant for grant in trade.grants}.values()
    ]


def returned(known: Booked) -> int:
    """How much money of a leg the books say went back."""
    return known.sums[REFUND] - known.sums[REFUND_UNDONE]


def accounted(known: Booked, target: int) -> int:
    """What is taken already; what an operator reversed or what expired unused counts, but is never given back."""
    taken = known.taken
    return max(taken.by_refunds, min(target, taken.accounted))


def by_cause(tx: Transaction, trade: Trade) -> Mapping[uuid.UUID, Booked]:
    """What the books hold about the refunds of this trade."""
    return clawback.booked(tx, trade.slot, trade.ids([*trade.money_legs, *trade.grants]))


def _money(trade: Trade, step: MoneyStep, reference: str) -> Transfer:
    """Counting what was booked for that leg before gives each step a key of its own."""
    leg = step.leg
    clearing = system(f"clearing:{trade.paid.provider_account}", leg.credit.asset, leg.credit.environment)
    cause = leg.id_in(trade.slot)
    debit, credit = (leg.credit, clearing) if step.minor > 0 else (clearing, leg.credit)
    return Transfer(
        scope=f"refund:{cause.hex}",
        key=str(step.times),
        debit=debit,
        credit=credit,
        amount=abs(step.minor),
        kind=MONEY_KINDS[step.minor < 0],
        reference=reference,
        cause=cause,
    )
