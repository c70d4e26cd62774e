"""What users want of agreements in force, by way of the app: an end, a pause, another plan."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from app.services.agreements import agreement_requests
from app.services.agreements.agreement_requests import NeedsSigning
from app.services.agreements.signing_requests import AgreementNotInForce, AlreadyAgreed
from app.services.base.idempotency import Keyed, keyed
from tests.years.debit_model import BookedAgreement, DebitModel, Pause, Plan
from tests.years.debit_stages import DebitStage, Payer
from tests.years.till import Till
from tests.years.verdict import History

PLANS = {
    plan.minor: plan
    for plan in (
        Plan("lite", 900, 40, frozenset({"lite"})),
        Plan("vip", 1500, 100, frozenset({"vip"})),
        Plan("gold", 3000, 333, frozenset({"gold", "vip"})),
    )
}
LONG_PAUSE = timedelta(days=12)
"""After so long no charge can be made any more for the period that was due."""
LONGEST_PAUSE_DAYS = 80
LEAST_LEFT = timedelta(days=6)
"""So much of what is paid is left when a dearer plan is signed: the one before is charged no more."""


def catalogue_of(plan: Plan) -> str:
    names = ", ".join(f'"{name}"' for name in sorted(plan.names))
    return f"""
[[products]]
sku = "{plan.sku}"
title = "{plan.sku}, a month"
prices = {{ CNY = "{plan.minor // 100}.00" }}
entitlements = [{names}]
plan = {{ period = "1 month" }}
[[products.grants]]
amount = {plan.coins}
"""


CATALOGUE = "".join(map(catalogue_of, PLANS.values()))


@dataclass
class DebitUser:
    name: str
    payer: Payer
    model: DebitModel = field(default_factory=lambda: DebitModel(PLANS))
    history: History = field(default_factory=History)
    next_signing: datetime | None = None
    resumes_at: datetime | None = None
    tries: int = 0

    @property
    def current(self) -> BookedAgreement | None:
        """The newest agreement that the provider has in force, and that is not to end for another one."""
        standing = (each for each in self.model.agreements if each.signed_at is not None and each.ended_at is None)
        return next((each for each in reversed(list(standing)) if not each.is_replaced), None)

    def owned(self) -> Callable[[str], Keyed]:
        self.tries += 1
        return partial(_owned, f"wish-{self.tries}")


def _owned(key: str, owner: str) -> Keyed:
    return keyed(f"user:{owner}", key, "change", {})


class Wishes:
    """`lag` says how far our books may be behind the provider's. Some wishes are uttered only when we must know all:
    so the model need not know what we knew."""

    def __init__(self, till: Till, stage: DebitStage, chance: random.Random, lag: Callable[[], timedelta]) -> None:
        self._till, self._stage, self._chance, self._lag = till, stage, chance, lag

    def end(self, user: DebitUser, booked: BookedAgreement, *, at_once: bool) -> None:
        core, number = self._till.core, int(booked.number)
        if self._is_done(
            user, agreement_requests.request_end, core, number, None, user.owned(), "user", at_once=at_once
        ):
            booked.unwanted_at = booked.unwanted_at or self._till.clock.now()

    def stay(self, user: DebitUser, booked: BookedAgreement) -> None:
        """Take the wish to end it back, in time."""
        now, through = self._till.clock.now(), booked.paid_through()
        if booked.unwanted_at is None or booked.is_paused or through is None or through <= now + timedelta(days=1):
            return
        if self._is_done(
            user, agreement_requests.resume_charges, self._till.core, int(booked.number), None, user.owned()
        ):
            booked.unwanted_at = None
            booked.resumed.append(now)

    def pause(self, user: DebitUser, booked: BookedAgreement) -> None:
        if booked.is_paused or booked.unwanted_at is not None or booked.paid_through() is None:
            return
        if self._is_done(
            user, agreement_requests.pause_charges, self._till.core, int(booked.number), None, user.owned()
        ):
            now = self._till.clock.now()
            booked.pauses.append(Pause(now))
            user.resumes_at = now + timedelta(days=self._chance.randrange(1, LONGEST_PAUSE_DAYS))

    def resume(self, user: DebitUser, booked: BookedAgreement) -> None:
        now, through = self._till.clock.now(), booked.paid_through()
        if not booked.is_paused or booked.unwanted_at is not None:
            user.resumes_at = None
            return
        is_early = now < booked.pauses[-1].since + LONG_PAUSE and (
            through is None or through <= now + timedelta(days=1)
        )
        if is_early or not self._is_known(booked):
            return
        if self._is_done(
            user, agreement_requests.resume_charges, self._till.core, int(booked.number), None, user.owned()
        ):
            booked.pauses[-1].until = now
            booked.resumed.append(now)
            user.resumes_at = None

    def change(self, user: DebitUser, booked: BookedAgreement) -> Plan | None:
        """Another plan, from the next period on; the plan that has to be signed for that, if it is dearer."""
        plan = self._chance.choice([each for each in PLANS.values() if each.minor != booked.wishes[-1][1]])
        if booked.unwanted_at is not None:
            return None
        if plan.minor > booked.most_minor:
            through = booked.paid_through()
            can_sign = through is not None and through > self._till.clock.now() + LEAST_LEFT
            return plan if can_sign and not booked.is_paused and self._is_known(booked) else None
        change = agreement_requests.change_plan
        if self._is_done(user, change, self._till.core, int(booked.number), None, user.owned(), plan.sku):
            booked.wishes.append((self._till.clock.now(), plan.minor))
        return None

    def _is_known(self, booked: BookedAgreement) -> bool:
        """Whether we must know by now of all that was charged."""
        known = self._till.clock.now() - self._lag()
        return all(charge.is_over and (charge.paid_at is None or charge.paid_at <= known) for charge in booked.charges)

    def _is_done(self, user: DebitUser, ask: Callable[..., None], *given: object, **more: object) -> bool:
        try:
            ask(*given, **more)
        except (AgreementNotInForce, NeedsSigning, AlreadyAgreed) as problem:
            user.history.note(self._till.clock.now(), f"not done: {problem!r}")
            return False
        self._till.happened[ask.__name__] += 1
        return True
