"""Facts of a store, which knows none of our numbers: whose purchase is it?

Whoever has it already keeps it. Else it is whose token the store signs now, whatever is remembered of the agreement.
Else it is whoever has the agreement; else, if the sender holds the store's signed proof, the sender. Everybody else
learns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog
from sqlalchemy import and_, bindparam, select

from app.domain.deciding import Decision
from app.domain.facts import REFUND_KINDS, Fact, Kind
from app.domain.numbers import slot_of_uuid
from app.domain.status import Outcome
from app.models.orders import FactRow, User
from app.providers.limits import faults_of, fits
from app.services.accounts.users import uuid_of
from app.services.agreements import agreement_rows, handovers
from app.services.base.context import Core, Tx
from app.services.base.reported_fact import ReportedFact
from app.services.base.sanitize import LONGEST_PROBLEM, problem_text, without_faults
from app.services.base.statements import Statement
from app.services.facts import claims, replaced_periods
from app.services.facts.apply import apply_fact
from app.services.facts.record import Applied, StoredFact, note_road, told_before
from app.services.payments import fact_rows
from app.services.refunds import early_refunds

BLANK = " \t\r\n\u00a0\u200b0-{}"
"""Of these characters alone consists an owner token that names nobody (some clients attach such a one to every
purchase): blanks, and the UUID of nothing."""
_log = structlog.get_logger(__name__)
_NOTHING_NEW = Decision(Outcome.DUPLICATE)
_u, _f = User.__table__.c, FactRow.__table__.c
_SEEN = Statement(
    lambda _: (
        select(_u.id.label("user_id"), *fact_rows.FACT_COLUMNS)
        .select_from(User)
        .outerjoin(
            FactRow,
            and_(
                _f.slot == bindparam("slot"),
                _f.provider_account == bindparam("provider_account"),
                _f.environment == bindparam("environment"),
                _f.key == bindparam("key"),
            ),
        )
        .where(_u.slot == bindparam("slot"), _u.token == bindparam("token"))
    )
)


@dataclass(frozen=True, slots=True)
class BesideFact:
    """What is to be written in the transaction of a fact, if that lies in the same slot."""

    slot: int
    write: Callable[[Tx, Applied], object]
    """Gets what became of the fact."""


def tell(core: Core, reported: ReportedFact, *, holder: str | None = None, beside: BesideFact | None = None) -> Applied:
    """Apply one fact in a transaction of its own, placed with its buyer first. `holder` is the user who brought the
    store's signed proof of it, if one did."""
    placed = place(core, reported, holder)
    if reported.fact.kind is Kind.PAID:
        tell_refunds_first(core, placed)

    def work(tx: Tx) -> Applied:
        applied = apply_fact(tx, placed)
        if beside is not None and beside.slot == placed.slot:
            beside.write(tx, applied)
        return applied

    applied = core.at(placed.slot).transact(work)
    if placed.buyer is not None:
        _end_what_was_nobodys(core, placed)
    return applied


def _end_what_was_nobodys(core: Core, placed: ReportedFact) -> None:
    """A history may have told the fact when nobody had claimed the purchase: then it lies, not ours, where the store's
    number puts it. It is found there no more, since it has been told where its buyer's data are."""
    nobodys = replace(placed, buyer=None)
    if nobodys.slot == placed.slot:
        return
    names = (nobodys.slot, placed.account.name, placed.environment, placed.key)
    here = core.at(nobodys.slot)
    row = here.read(lambda tx: fact_rows.fact_under(tx, *names))
    if row is not None and row.outcome == Outcome.NOT_OURS:
        here.transact(partial(early_refunds.settle_without_a_buyer, row=row))


def tell_refunds_first(core: Core, paid: ReportedFact) -> None:
    """Refunds of the purchase that were told before its buyer was known: told again where the buyer's data are, before
    the purchase is credited, so that its coins are never there to be spent. So is what went back of a period that it
    replaced, or that replaced it."""
    for row in early_refunds.told_without_a_buyer(core, paid):
        fact = fact_rows.fact_in(row)
        again = replace(paid, fact=fact, road=row.road, message_id=row.message_id)
        core.at(again.slot).transact(partial(apply_fact, reported=again))
        core.at(row.slot).transact(partial(early_refunds.settle_without_a_buyer, row=row))
    for refund in replaced_periods.refunds_by(core, paid):
        core.at(refund.slot).transact(partial(apply_fact, reported=refund))


def place(core: Core, reported: ReportedFact, holder: str | None = None) -> ReportedFact:
    """The fact, checked, with the account whose money it is, and its buyer. Claims a purchase for them, if it is one
    that nobody owns yet."""
    reported = _addressed(core, reported)
    if reported.fact.ref.ours is not None:
        return reported
    if not _is_a_stores(reported):
        return _imported(core, reported)
    return _with_buyer(core, reported, _look(core, reported)[0], holder)


def place_unless_told(core: Core, reported: ReportedFact) -> ReportedFact | Applied:
    """The fact with its buyer, as `place` gives it. For a store's fact that was told before, and of which one more
    telling cannot change anything, what became of it: found in one read."""
    reported = _addressed(core, reported)
    if reported.fact.ref.ours is not None:
        return reported
    if not _is_a_stores(reported):
        return _imported(core, reported)
    user, known = _look(core, reported)
    if known is not None and not _says_more(reported.fact, known.content):
        stored = StoredFact(reported, known.id, _NOTHING_NEW, known)
        applied = told_before(stored)
        if applied is not None and applied.outcome is Outcome.DUPLICATE:
            core.at(known.slot).alone(lambda tx: note_road(tx, stored))
            return applied
    return _with_buyer(core, reported, user, None)


def _says_more(fact: Fact, told: Mapping[str, Any]) -> bool:
    """Whether one more telling of a fact may change what follows from it: a client's proof of a new period does not say
    that the period replaced another one."""
    return fact.refunds_unknown or (fact.replaces is not None and told.get("replaces") is None)


def _imported(core: Core, reported: ReportedFact) -> ReportedFact:
    """A word about an agreement that may be an imported one, with the user of that: numbers of earlier systems may look
    like ours, and say no slot."""
    ref = reported.fact.ref
    if reported.faults or ref.our_agreement is None:
        return reported
    reference = claims.imported_reference(ref)
    owner = _claimed_by(core, reported, reference)
    return reported if owner is None else replace(reported, buyer=owner)


def _addressed(core: Core, reported: ReportedFact) -> ReportedFact:
    """The fact as it can be worked with, and with the account whose money it is: an address may receive for several
    merchants. Every road passes here before anything is looked up or written."""
    fact, account = reported.fact, reported.account
    if isinstance(fact.owner, str) and not fact.owner.strip(BLANK):  # a plugin may give anything
        fact = replace(fact, owner=None)
    faults = faults_of(fact)
    if faults:
        fact = without_faults(fact, core.clock.now())
    if not fits(fact.cause, LONGEST_PROBLEM):  # for people only: never a reason to refuse a fact
        fact = replace(fact, cause=problem_text(fact.cause))
    if fact.account not in (None, account.provider.account):
        account = core.registry.whose(account, fact.account)
    if fact is reported.fact and account is reported.account:
        return reported
    return replace(reported, account=account, fact=fact, faults=faults)


def _is_a_stores(reported: ReportedFact) -> bool:
    """Whether a fact that names no number of ours can be somebody's at all."""
    ref = reported.fact.ref
    if reported.faults or ref.our_agreement is not None:
        return False
    return ref.theirs is not None or ref.agreement is not None


def _look(core: Core, reported: ReportedFact) -> tuple[str | None, Any]:
    """The user whose token the store signed, whose slot the token itself says; and the fact as it was stored there
    before."""
    token = uuid_of(reported.fact.owner)
    if token is None:
        return None, None
    slot = slot_of_uuid(token)
    keys = {
        "slot": slot,
        "token": token,
        "provider_account": reported.account.name,
        "environment": reported.environment,
        "key": reported.key,
        "road": reported.road,
    }
    found = core.at(slot).alone(lambda tx: _SEEN.row(tx, keys))
    if found is None:
        return None, None
    user, *known = found
    return user, None if known[0] is None else fact_rows.named_fact(known)


def _with_buyer(core: Core, reported: ReportedFact, user: str | None, holder: str | None) -> ReportedFact:
    """Of what was paid, or is handed in with the store's proof that it is in force for nothing, the claim itself says
    who has it already."""
    is_paid = reported.fact.kind is Kind.PAID
    if is_paid and user is None and reported.fact.owner is not None:
        buyer, reported = _imported_buyer(core, reported)
    else:
        buyer = user if is_paid and user is not None else _buyer(core, reported, user, holder)
    if buyer is None:
        return reported
    is_taken = is_paid or (reported.fact.kind is Kind.SIGNED and holder is not None and user is None)
    return _claimed(core, reported, buyer) if is_taken else replace(reported, buyer=buyer)


def _buyer(core: Core, reported: ReportedFact, user: str | None, holder: str | None) -> str | None:
    """In this order: who has this very purchase already; whom the store names now; who has the agreement; who holds the
    proof, if the store names nobody.

    A refund is about the purchase that it names: the agreement may have gone over to somebody else since.
    """
    fact = reported.fact
    buyer = _claimed_by(core, reported, fact.ref.theirs) or user
    if buyer is None and fact.ref.agreement and fact.kind not in REFUND_KINDS:
        buyer = _claimed_by(core, reported, claims.agreement_reference(fact.ref.agreement))
    return holder if buyer is None and fact.owner is None else buyer


def _imported_buyer(core: Core, reported: ReportedFact) -> tuple[str | None, ReportedFact]:
    """Whose a purchase is that names its owner by a token which is none of ours. Where an import says whom an earlier
    system named so, or whose the agreement is, that token is no other owner, and is not compared with ours."""
    fact, token = reported.fact, uuid_of(reported.fact.owner)
    named = None if token is None else _claimed_by(core, reported, claims.token_reference(token))
    buyer = _claimed_by(core, reported, fact.ref.theirs) or named
    if named is None and fact.ref.agreement:
        agreed = claims.agreement_owner(core, reported.account.name, reported.environment, fact.ref.agreement)
        if agreed is not None:
            buyer = buyer or agreed.user_id
            named = None if agreed.imported_until is None else agreed.user_id
    is_known = named is not None and named == buyer
    return buyer, replace(reported, fact=replace(fact, owner=None)) if is_known else reported


def _claimed_by(core: Core, reported: ReportedFact, reference: str | None) -> str | None:
    if reference is None:
        return None
    return claims.owner_of(core, reported.account.name, reported.environment, reference)


def _claimed(core: Core, reported: ReportedFact, buyer: str) -> ReportedFact:
    """Claim the period or purchase for the buyer, and then note it at its agreement. With its owner, who may be
    another, and with whoever has a period beside it.

    The period first: a process that dies in between notes it at the next telling."""
    fact, account, environment = reported.fact, reported.account.name, reported.environment
    owner = buyer if fact.ref.theirs is None else claims.claim(core, account, environment, fact.ref.theirs, buyer)
    if owner != buyer:
        _log.warning(
            "purchase_claimed_by_another",
            provider_account=account,
            theirs=fact.ref.theirs,
            owner=owner,
            claimant=buyer,
        )
    reported = replace(reported, buyer=owner)
    agreement = fact.ref.agreement
    if not agreement or claims.claim_agreement(core, account, environment, agreement, owner, paid_at=fact.at):
        return reported
    known = claims.agreement_owner(core, account, environment, agreement)
    if known is None:
        return reported
    if known.imported_until is not None and fact.period_end is not None:
        reported = replace(reported, was_credited_before=fact.period_end <= known.imported_until)
    if known.user_id == owner:
        return reported
    if known.newest_at >= fact.at:
        return replace(reported, neighbour=known.user_id, gone_over_at=known.newest_at)
    _hand_over(core, reported, known.user_id, owner)
    return replace(reported, neighbour=known.user_id)


def _hand_over(core: Core, reported: ReportedFact, had_it: str, has_it: str) -> None:
    """The agreement of a store goes over to whoever has paid its newest period. It ends for the user before the claim
    goes over: a process that dies in between does it again at the next telling."""
    fact, account, environment = reported.fact, reported.account.name, reported.environment
    agreement = fact.ref.agreement or ""

    def end(tx: Tx) -> None:
        row = agreement_rows.lock_claimed(tx, had_it, account, environment, agreement)
        if row is not None:
            handovers.end_as_taken_up(tx, row.id, fact.at)

    core.of_user(had_it).transact(end)
    claims.move_agreement(core, account, environment, agreement, has_it, paid_at=fact.at)
