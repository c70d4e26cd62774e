"""Periods of an agreement that a later one replaced while they were running.

A provider may tell only the new period (`Fact.replaces`), and give back what is left of the running one without another
word. What went back follows from the times of the two, so it is taken back as soon as both have been told, in whatever
order: nobody has both periods' coins, and no provider is called for it. A query that tells that refund adds nothing.

The two may be two users' (one account at the store serves both): whoever had the agreement before, or has it now, is
looked at too. Where more users than these two have periods of it, the provider's answer tells, as for every upgrade.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from sqlalchemy import JSON, ColumnElement, Select, bindparam, literal_column, select

from app.domain.facts import Fact, Kind, Ref, fact_of
from app.domain.numbers import slot_of_user
from app.domain.refunding import SHARE_PARTS
from app.models.orders import FactRow, Order, Payment
from app.services.base.context import Core, Tx, environment_of
from app.services.base.reported_fact import ReportedFact
from app.services.base.statements import Statement

_o, _p, _f = Order.__table__.c, Payment.__table__.c, FactRow.__table__.c
_told_agreement = _f.content[bindparam("member", type_=JSON.JSONStrIndexType())].as_string()
_MICROSECOND = timedelta(microseconds=1)


def refunds_by(core: Core, paid: ReportedFact) -> list[ReportedFact]:
    """What went back because a period took the place of another, as far as it follows from this one: of the period that
    it replaced, and of this one itself, where the period that replaced it was told before it."""
    fact = paid.fact
    if fact.kind is not Kind.PAID or fact.ref.agreement is None or paid.buyer is None:
        return []
    periods = list[tuple[Fact, str]]()
    for user in filter(None, (paid.buyer, paid.neighbour)):
        found = core.of_user(user).read(partial(_neighbours, paid=paid, user=user))
        periods += [(period, user) for period in found]
    earlier = sorted((each for each in periods if each[0].at < fact.at), key=_moment)[-1:]
    later = sorted((each for each in periods if each[0].at > fact.at), key=_moment)[:1]
    told = list[ReportedFact]()
    for (old, owner), (new, _) in pairwise([*earlier, (fact, paid.buyer), *later]):
        refund = _given_back(old, new)
        if refund is not None:
            told.append(replace(paid, fact=refund, buyer=owner))
    return told


def _moment(period: tuple[Fact, str]) -> datetime:
    return period[0].at


def _neighbours(tx: Tx, paid: ReportedFact, user: str) -> list[Fact]:
    """That user's periods of the agreement next to this one; the one before it only if this one took its place."""
    fact = paid.fact
    values = {
        "slot": slot_of_user(user),
        "buyer": user,
        "provider_account": paid.account.name,
        "environment": environment_of(fact.live),
        "member": "agreement",
        "agreement": fact.ref.agreement,
        "moment": fact.at,
    }
    wanted = [_AFTER, _BEFORE] if fact.replaces is not None else [_AFTER]
    found = [statement.row(tx, values) for statement in wanted]
    return [fact_of(Kind.PAID, at, content, {}) for at, content in filter(None, found)]


def _given_back(old: Fact, new: Fact) -> Fact | None:
    """What is left of the old period by its time, rounded half up; None if it was not replaced, or nothing is left."""
    if new.replaces is None or old.period_end is None or not old.at < new.at < old.period_end:
        return None
    share = _share(old.at, new.at, old.period_end)
    if not share:
        return None
    return Fact(
        kind=Kind.REFUNDED,
        ref=Ref(theirs=old.ref.theirs, refund=new.replaces, agreement=old.ref.agreement),
        at=new.at,
        share=share,
        account=old.account,
        live=old.live,
        # A period may be told between the two later: then less of the old one was used than it seems now.
        occurrence=new.ref.theirs or "",
        cause="replaced while it was running",
        raw=new.raw,
    )


def _share(start: datetime, moment: datetime, end: datetime) -> int:
    left, length = (end - moment) // _MICROSECOND, (end - start) // _MICROSECOND
    return (2 * SHARE_PARTS * left + length) // (2 * length)


def _period(condition: ColumnElement[bool], first: ColumnElement[Any]) -> Select[Any]:
    return (
        select(_f.at, _f.content)
        .select_from(Order)
        .join(Payment, (_p.slot == _o.slot) & (_p.order_id == _o.id))
        .join(FactRow, (_f.slot == _p.slot) & (_f.payment_id == _p.id))
        .where(
            _o.slot == bindparam("slot"),
            _p.slot == bindparam("slot"),
            _f.slot == bindparam("slot"),
            _o.user_id == bindparam("buyer"),
            _f.kind == literal_column(f"'{Kind.PAID}'"),
            _f.provider_account == bindparam("provider_account"),
            _f.environment == bindparam("environment"),
            _told_agreement == bindparam("agreement"),
            condition,
        )
        .order_by(first)
        .limit(1)
    )


_BEFORE = Statement(lambda _: _period(_f.at < bindparam("moment", type_=_f.at.type), _f.at.desc()))
_AFTER = Statement(lambda _: _period(_f.at > bindparam("moment", type_=_f.at.type), _f.at.asc()))
