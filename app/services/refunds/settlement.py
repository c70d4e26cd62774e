"""Brings the books of one captured payment to where its facts say they must be: money, and coins by policy.

Every transfer names as its cause the one that it takes back, and only differences to what is booked under that cause
are booked, under the lock of the order. So no road books twice, and no order of telling matters.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from app.domain.gifts import GiftClawback
from app.domain.ledger import Lot, Transfer, system
from app.domain.refunding import MONEY_KINDS, REFUND, REFUND_UNDONE, Clawback, Refunded, RefundStatus, of_amount
from app.models.base import AnyRow
from app.services.base.context import Tx
from app.services.base.transaction import Transaction
from app.services.ledger import clawback, post
from app.services.ledger.clawback import Booked, ClawbackResult, ClawbackTarget, StatementText
from app.services.refunds import recall_rows
from app.services.refunds.captured_payments import CapturedPayment


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be booked for a captured payment now."""

    refunded: Refunded
    steps: list[MoneyStep]
    claims: list[ClawbackTarget]
    known: Mapping[uuid.UUID, Booked]
    """What was booked before, by the transfer that it takes back."""
    changes: bool


@dataclass(frozen=True, slots=True)
class MoneyStep:
    """What is still to be taken out of where one leg put the money. `times`: how often that was done before."""

    leg: Transfer
    minor: int
    times: int


def plan(tx: Transaction, captured: CapturedPayment, now: Refunded) -> Plan:
    """The difference between the facts and the books, read under the lock of the order."""
    known = by_cause(tx, captured)
    steps = [_step(leg, target, known[leg.id_in(captured.slot)]) for leg, target in money_targets(captured, now)]
    moving = [step for step in steps if step.minor]
    claims = claims_of(captured, now)
    open_claims = any(claim.target != accounted(known[claim.grant], claim.target) for claim in claims)
    return Plan(now, moving, claims, known, bool(moving) or open_claims)


def _step(leg: Transfer, target: int, known: Booked) -> MoneyStep:
    return MoneyStep(leg, target - returned(known), known.times)


def settle(
    tx: Tx,
    captured: CapturedPayment,
    wanted: Plan,
    *,
    policy: Clawback,
    words: StatementText,
    ending: Sequence[AnyRow],
    others: Sequence[AnyRow],
    recall: bool = True,
) -> list[ClawbackResult]:
    """Book the plan. `ending` are refunds of ours that end with this: their reserved coins are let go of first, and
    used. `others` are under way: what they have reserved is used as far as coins are missing. Coins that were given
    away are asked back where they are now, if that is the setting and `recall` does not say that they have been."""
    at = tx.now
    if wanted.steps:
        post(tx, captured.slot, [_money(captured, step, words.reference) for step in wanted.steps], at=at)
    if not wanted.claims or not (wanted.changes or ending):
        return []
    outcomes = clawback.claw(
        tx,
        captured.slot,
        wanted.claims,
        policy=policy,
        ending=[hold for row in ending for hold in holds_of(captured, row)],
        spare=[hold for row in others for hold in holds_of(captured, row)],
        words=words,
        at=at,
        rules=tx.core.rules.ledger,
        recall=recall and tx.core.rules.gifts.clawback is GiftClawback.RECEIVER_FIRST,
    )
    for claim, outcome in zip(wanted.claims, outcomes, strict=True):
        if outcome.step.recall:
            recall_rows.add(tx, captured, claim, outcome.step.recall, policy=policy, words=words)
    return outcomes


def money_targets(captured: CapturedPayment, now: Refunded) -> list[tuple[Transfer, int]]:
    """How much of each leg must have been taken back. Money that was moved out of suspense is refunded from where it
    went, so nothing stays refunded from suspense itself."""
    if not captured.money_legs:
        return []
    *left, last = captured.money_legs
    return [*((leg, 0) for leg in left), (last, of_amount(now.part, last.amount))]


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


def coins_of(
    captured: CapturedPayment, wanted: Plan, outcomes: Sequence[ClawbackResult]
) -> dict[str, list[dict[str, Any]]]:
    """What the books say happened to the coins, shared out among the refunds that stand, in the order in which they
    were done: so the shares follow from what was told and booked, not from the order of telling."""
    booked = _booked_coins(wanted, outcomes)
    level, found = Fraction(0), {}
    for told in wanted.refunded.refunds.values():
        if told.status is not RefundStatus.DONE:
            continue
        before, level = level, min(wanted.refunded.part, level + told.part - told.undone)
        due: Counter[str] = Counter()
        for grant in captured.grants:
            due[grant.credit.asset] += of_amount(level, grant.amount) - of_amount(before, grant.amount)
        found[told.number] = [_share(asset, booked[asset], due[asset]) for asset in sorted(due) if due[asset]]
    return found


def _booked_coins(wanted: Plan, outcomes: Sequence[ClawbackResult]) -> dict[str, dict[str, int]]:
    sums: dict[str, dict[str, int]] = defaultdict(lambda: {"taken": 0, "debt": 0, "forgiven": 0})
    for claim in wanted.claims:
        taken, entry = wanted.known[claim.grant].taken, sums[claim.wallet.asset]
        entry["taken"] += taken.coins + taken.recalled
        entry["debt"] += taken.owed
        entry["forgiven"] += taken.forgiven
    for outcome in outcomes:
        step, entry = outcome.step, sums[outcome.asset]
        entry["taken"] += step.take + step.recall - step.give_back
        entry["debt"] += step.owe - step.cancel
        entry["forgiven"] += step.forgive - step.unforgive
    return sums


def _share(asset: str, booked: dict[str, int], due: int) -> dict[str, Any]:
    """Take up to `due` coins out of what is booked: those that were taken first."""
    share: dict[str, Any] = {"asset": asset}
    for name, there in booked.items():
        share[name] = max(0, min(due, there))
        booked[name] -= share[name]
        due -= share[name]
    return share


def hold_key(refund_id: int, asset: str) -> str:
    return f"{refund_id}:{asset}"


def holds_of(captured: CapturedPayment, refund: AnyRow) -> list[uuid.UUID]:
    """The holds with which a refund of ours may have reserved coins."""
    return [
        clawback.hold_id(captured.slot, grant.credit.user_id, hold_key(refund.id, grant.credit.asset))
        for grant in {grant.credit: grant for grant in captured.grants}.values()
    ]


def returned(known: Booked) -> int:
    """How much money of a leg the books say went back."""
    return known.sums[REFUND] - known.sums[REFUND_UNDONE]


def accounted(known: Booked, target: int) -> int:
    """What is taken already; what an operator reversed or what expired unused counts, but is never given back."""
    taken = known.taken
    return max(taken.by_refunds, min(target, taken.accounted))


def by_cause(tx: Transaction, captured: CapturedPayment) -> Mapping[uuid.UUID, Booked]:
    """What the books hold about the refunds of this captured."""
    return clawback.booked(tx, captured.slot, captured.ids([*captured.money_legs, *captured.grants]))


def _money(captured: CapturedPayment, step: MoneyStep, reference: str) -> Transfer:
    """Counting what was booked for that leg before gives each step a key of its own."""
    leg = step.leg
    clearing = system(f"clearing:{captured.paid.provider_account}", leg.credit.asset, leg.credit.environment)
    cause = leg.id_in(captured.slot)
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
