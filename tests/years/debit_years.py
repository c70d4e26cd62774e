"""Years of users whose agreements we charge, at one provider: what they do each day, and what must hold each hour."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from sqlalchemy import select

from app.domain.facts import Refusal
from app.domain.numbers import slot_of_number
from app.models.agreements import PERIODS
from app.models.orders import Payment
from app.providers.agreements import charge_window
from app.services.agreements import agreement_rows, signing_requests
from app.services.agreements.signing_requests import AgreementNotInForce, AlreadyAgreed, NewAgreement
from app.services.base.errors import PaymentDeclined, ProviderUnavailable
from app.services.base.idempotency import keyed
from app.services.calls import agreement_signing
from app.services.payments.orders import PayBy
from tests.years.changes import Changes
from tests.years.debit_model import BookedAgreement, Plan
from tests.years.debit_providers import DEBIT_STAGES
from tests.years.debit_stages import DebitStage, Payer
from tests.years.debit_wishes import CATALOGUE, PLANS, DebitUser, Wishes
from tests.years.till import ACCOUNT, Till, shown
from tests.years.trouble import CALM_DAYS, Trouble
from tests.years.verdict import Disagreement

_p, _periods = Payment.__table__.c, PERIODS.c
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "UTC")
TRIED_LONGER = timedelta(days=7)
"""An order of a month can be paid for the days of its provider, its notice, and so long (docs/adr/0054)."""
SETTLED_HOURS = 12
"""A signing that is under way is over after so long, so that the user may sign anew."""


class DebitYears:
    """`users` at one provider, from `start` on."""

    def __init__(self, database: str, provider: str, users: int, start: datetime, seed: int, step: int = 1) -> None:
        """`step`: so many hours at a time."""
        random.seed(seed)  # the service spreads its retries with it
        self._chance = random.Random(f"{provider} {seed}")
        self.till = Till(database, start, CATALOGUE)
        self.trouble = Trouble(self._chance)
        self.stage: DebitStage = DEBIT_STAGES[provider](self.till.clock, self.till.receive, self._chance)  # type: ignore[call-arg]
        account = self.till.serve(self.stage.plugin, self.stage.settings, self.stage.app, self.stage.watch)
        self.till.kill_receiver_at = self.trouble.kill_at
        self._wishes = Wishes(self.till, self.stage, self._chance, lambda: self.trouble.lag)
        self.users = [self._user(number, start) for number in range(users)]
        self._start, self._step = start, step
        self._changes = Changes(self.till)
        self.seen, self.hours = 0, 0
        window = charge_window(account.provider)
        self._tried_for = window.after + window.notice + TRIED_LONGER
        self._looked_at = set[str]()

    def _user(self, number: int, start: datetime) -> DebitUser:
        user = DebitUser(f"user-{number}", Payer(ZONES[number % len(ZONES)]))
        # Most begin at the end of a month, where calendars differ.
        begin = start + timedelta(days=self._chance.randrange(60))
        if self._chance.random() < 0.6:
            begin = begin.replace(day=28) + timedelta(days=self._chance.randrange(4))
        user.next_signing = begin + timedelta(hours=self._chance.randrange(24))
        return user

    def run(self, days: int) -> None:
        """Raises Disagreement."""
        for day in range(days):
            self.trouble.is_over = day >= days - CALM_DAYS
            self.trouble.new_day()
            acts = {} if self.trouble.is_over else self._acts_of_the_day()
            for hour in range(0, 24, self._step):
                second = self._chance.randrange(3600)
                self.till.move_to(self._start + timedelta(days=day, hours=hour, seconds=second))
                self._hour([act for each in range(hour, hour + self._step) for act in acts.get(each, [])])
            self.till.look_at_what_waits()
            if day % 5 == 4:
                self._compare(self.users)
        self._compare(self.users)
        for user in self.users:
            self._compare_at_the_end(user)
        findings = self.till.findings()
        if findings:
            raise Disagreement("the audit", [f"{finding}" for finding in findings])

    def _hour(self, acts: list[tuple[DebitUser, str]]) -> None:
        works, self.till.is_up = self.trouble.next_hours(self._step)
        self.trouble.spoil(self.stage.faults, self._step)
        for user, act in acts:
            self._act(user, act)
        self.stage.read_books()
        self.stage.settle()
        self.stage.read_books()
        self.stage.deliver()
        if works:
            kill_at = self.trouble.kill_at()
            self.till.work(kill_at, self.trouble.meets_at(), self.trouble.kill_at())
            if kill_at:
                if self.trouble.restarts():
                    self.till.restart()
                self.till.move_to(self.till.clock.now() + timedelta(seconds=61))
                self.till.work()
        self.stage.read_books()
        self.stage.deliver()
        self.hours += self._step * len(self.users)
        self._compare([*self._changes.among(self.users, self.trouble.lag), self._chance.choice(self.users)])

    # --- what users do

    def _acts_of_the_day(self) -> Mapping[int, list[tuple[DebitUser, str]]]:
        now, acts = self.till.clock.now(), dict[int, list[tuple[DebitUser, str]]]()
        for user in self.users:
            stands = user.current is not None
            for act, a_year in RATES.items() if stands else ():
                if self._chance.random() < a_year / 365:
                    acts.setdefault(self._chance.randrange(24), []).append((user, act))
            if user.resumes_at is not None and user.resumes_at <= now:
                acts.setdefault(self._chance.randrange(24), []).append((user, "resume"))
            if not stands and user.next_signing is None:
                user.next_signing = now + timedelta(days=self._chance.randrange(2, 40))
            if user.next_signing is not None and user.next_signing <= now + timedelta(days=1):
                acts.setdefault(user.next_signing.hour, []).append((user, "sign"))
                user.next_signing = None
        return acts

    def _act(self, user: DebitUser, act: str) -> None:
        now, booked = self.till.clock.now(), user.current
        user.history.note(now, act)
        if act == "sign":
            self._sign(user, self._chance.choice(list(PLANS.values())))
        elif booked is None:
            return
        elif act == "broke":
            user.payer.refusal = self._chance.choice((Refusal.NO_MONEY, Refusal.NO_MONEY, *Refusal))
            user.payer.refused_until = now + timedelta(hours=24 * self._chance.choice((0.5, 1, 2, 3, 5, 9, 20)))
        elif act in ("leave", "leave in silence"):
            self.stage.leave(booked.number, told=act == "leave")
        elif act == "lapse":
            self.stage.lapse(booked.number)
        elif act == "refund":
            user.history.note(now, f"refunded: {self.stage.refund_newest(booked.number)}")
        elif act in ("cancel", "cancel at the end"):
            self._wishes.end(user, booked, at_once=act == "cancel")
        elif act == "change":
            dearer = self._wishes.change(user, booked)
            if dearer is not None:
                self._sign(user, dearer, booked)
        else:
            {"pause": self._wishes.pause, "resume": self._wishes.resume, "stay": self._wishes.stay}[act](user, booked)

    def _sign(self, user: DebitUser, plan: Plan, replaced: BookedAgreement | None = None) -> None:
        pays = self.stage.paying_way is not None and self._chance.random() < 0.3
        way = self.stage.paying_way if pays and self.stage.paying_way else self.stage.way
        extra = {"openid": "oUpF8uMEb4qRXf22hE3X68TekukE"} if way == "jsapi" else {}
        wanted = NewAgreement(
            user.name,
            plan.sku,
            PayBy(ACCOUNT, way, extra),
            zone=user.payer.zone,
            pay_now=pays,
            replaces=None if replaced is None else int(replaced.number),
        )
        user.tries += 1
        request = keyed(f"user:{user.name}", f"sign-{user.tries}", "create_agreement", {})
        try:
            number = signing_requests.create_signing(self.till.core, wanted, request)
        except (AlreadyAgreed, AgreementNotInForce) as problem:
            user.history.note(self.till.clock.now(), f"not signed: {problem!r}")
            user.next_signing = self.till.clock.now() + timedelta(days=1) if replaced is None else None
            return
        booked = self.stage.expect(str(number), user.payer, plan.minor)
        booked.replaces, booked.is_paid_at_once = replaced, pays
        if booked not in user.model.agreements:
            user.model.agreements.append(booked)
        try:
            agreement_signing.start_signing(self.till.core, number)
        except (ProviderUnavailable, PaymentDeclined) as problem:
            user.history.note(self.till.clock.now(), f"signing failed: {problem!r}")
            return
        row = self._row(number)
        if row.action is None or self._chance.random() < 0.1:
            return  # the payer thinks better of it
        user.history.note(self.till.clock.now(), f"signs {number} {'and pays' if pays else ''}")
        if replaced is not None:
            replaced.replaced_by = booked
            self.till.happened["signed in the place of another"] += 1
        self.stage.sign(str(number), row.action, row.first_payment_id, signs=self._chance.random() < 0.8)

    def _row(self, number: int) -> Any:
        return self.till.core.whole.read(lambda tx: agreement_rows.known_agreement(tx, number))

    # --- what must hold

    def _compare(self, users: list[DebitUser]) -> None:
        now = self.till.clock.now()
        for user in users:
            self.seen += 1
            self._look_at_late_charges(user)
            horizons = user.model.horizons(now, self.trouble.lag)
            active = self.till.active(user.name)
            allowed = [user.model.active(now, *pair) for pair in product(horizons, repeat=2)]
            if active not in allowed:
                self._disagree(user, f"{_times(active)} is active, and not {' or '.join(map(_times, allowed))}")
            coins = self.till.coins(user.name)
            wanted = {user.model.coins(horizon) for horizon in horizons}
            if coins not in wanted:
                self._disagree(user, f"{coins} coins, and not {sorted(wanted)}")

    def _look_at_late_charges(self, user: DebitUser) -> None:
        """A try that nobody made while the order of its month could be paid: the next month begins when somebody works
        again (docs/adr/0054). Our own books say when that was; that it was late enough, and not after the charge, must
        hold."""
        for booked in user.model.agreements:
            for start, charge in list(booked.late(self._tried_for)):
                if charge.number in self._looked_at:
                    continue
                self._looked_at.add(charge.number)
                begun_at = self._period_of(int(charge.number))
                if begun_at == start:
                    continue
                if not start + self._tried_for <= begun_at <= charge.asked_at:
                    self._disagree(user, f"charge {charge.number} pays from {begun_at} on, and not from {start} on")
                charge.begun_at = begun_at
                self.till.happened["begun anew"] += 1
                break  # the months behind it begin elsewhere, too

    def _period_of(self, payment: int) -> datetime:
        """The beginning of the period that this payment pays."""
        order = select(_p.order_id).where(_p.slot == slot_of_number(payment), _p.id == payment).scalar_subquery()
        wanted = select(_periods.starts_at).where(_periods.slot == slot_of_number(payment), _periods.order_id == order)
        return self.till.core.of_number(payment).read(lambda tx: tx.execute(wanted).scalar_one())

    def _compare_at_the_end(self, user: DebitUser) -> None:
        now = self.till.clock.now()
        active, wanted = self.till.active(user.name), user.model.active(now, now, now)
        if active != wanted:
            self._disagree(user, f"{_times(active)} is active at the end, and not {_times(wanted)}")
        if self.till.coins(user.name) != user.model.coins(now):
            self._disagree(user, f"{self.till.coins(user.name)} coins at the end")
        for booked in user.model.agreements:
            row = self._row(int(booked.number))
            ends = row.status == "ended"
            if booked.signed_at is not None and ends != (booked.ended_at is not None):
                self._disagree(user, f"{booked.number} is {row.status}, and ended at the provider {booked.ended_at}")
            was_gone = row.cancel_at is not None and booked.ended_at is not None and booked.ended_at < row.cancel_at
            last_refusal = self.stage.last_refusals.get(booked.number)
            if row.ended_by == "unpaid" and not was_gone and last_refusal in (None, Refusal.NOT_NOW):
                self._disagree(user, f"{booked.number} was given up, and its payer could pay at last")
        for fault in user.model.faults():
            self._disagree(user, fault)

    def _disagree(self, user: DebitUser, what: str) -> None:
        lines = [f"{self.till.clock.now()}: {user.name} ({user.payer.zone}): {what}"]
        for booked in user.model.agreements:
            lines.append(f"ours: {shown(self._row(int(booked.number)))}")
            lines.append(f"theirs: signed {booked.signed_at}, ended {booked.ended_at}, unwanted {booked.unwanted_at}")
            lines.append(f"  pauses {booked.pauses}, resumed {booked.resumed}, wishes {booked.wishes}")
            lines += [f"  {charge}" for charge in booked.charges]
            lines += [f"  paid {start} to {end}: {charge.number}" for start, end, charge in booked.paid(self._now())]
        raise Disagreement(user.name, [*user.history.lines, *lines])

    def periods(self) -> int:
        """How many periods were paid at the provider."""
        return sum(len(user.model.kept(self._now())) for user in self.users)

    def _now(self) -> datetime:
        return self.till.clock.now()


def _times(active: Mapping[str, datetime]) -> str:
    return ", ".join(f"{name} until {until}" for name, until in sorted(active.items())) or "nothing"


RATES: Mapping[str, float] = {
    "broke": 4,
    "refund": 0.7,
    "leave": 0.25,
    "leave in silence": 0.25,
    "lapse": 0.25,
    "cancel": 0.2,
    "cancel at the end": 0.4,
    "stay": 6,
    "pause": 0.8,
    "change": 2,
}
"""How often in a year each happens to a user whose agreement stands."""
