"""What a number names, whosever number it is: ours, a provider's, a store's, or a user's id.

A number of ours says its slot. What has it there is all that it names, and no other database is asked. A provider's
number says nothing about slots: it is looked for in all of them, by indexes that begin with it, in one statement. What
was bought in a store is found by its claim as well, which lies where its own number says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, literal, or_, select, union_all

from app.domain.numbers import parse_number, slot_of_number, slot_of_uuid
from app.models.agreements import AGREEMENTS
from app.models.base import AnyRow
from app.models.catalogue import Claim
from app.models.gifts import GIFTS
from app.models.ledger import ACCOUNTS, HOLDS, TRANSFERS
from app.models.orders import FactRow, KeptMessage, Order, Payment, User
from app.models.receipts import Receipt
from app.models.refunds import Refund
from app.models.slot_guard import sweep
from app.services.accounts.users import find_user, uuid_of
from app.services.base.context import UNANSWERED, Core, Tx, WhatAnswers, environment_of
from app.services.facts import claims, fact_search
from app.services.facts.fact_search import ShownFact

MOST_NAMED = 100
"""Things that one search shows."""
LONGEST_SEARCHED = 255
"""Characters of what is searched for: no number that is kept is longer."""
_o, _p, _f, _u = (table.__table__.c for table in (Order, Payment, FactRow, User))
_r, _s, _m, _c = (table.__table__.c for table in (Refund, Receipt, KeptMessage, Claim))
_A, _T, _H, _g, _agreed = ACCOUNTS.c, TRANSFERS.c, HOLDS.c, GIFTS.c, AGREEMENTS.c
_PAYMENTS = select(
    *(_p[name] for name in ("slot", "id", "order_id", "provider_account", "status", "theirs", "created_at")),
    _o.user_id,
    _o.environment,
).join(Order, and_(_o.slot == _p.slot, _o.id == _p.order_id))
_REFUNDS = select(
    *(_r[name] for name in ("slot", "id", "order_id", "provider_account", "status", "theirs", "created_at")),
    _r.number_there,
    _o.user_id,
    _o.environment,
).join(Order, and_(_o.slot == _r.slot, _o.id == _r.order_id))
_ACCOUNT = (_A.user_id, _A.asset, _A.environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One thing that the number names. What is not known, or what such a thing does not have, is None."""

    kind: str
    """order, payment, refund, receipt, fact, message, transfer, hold, gift, purchase (of a store), agreement, user."""
    number: str
    user: str | None = None
    status: str | None = None
    order: int | None = None
    payment: int | None = None
    agreement: int | None = None
    """Of an agreement that has a row here: our number."""
    provider_account: str | None = None
    environment: str | None = None
    theirs: str | None = None
    """The provider's number of it."""
    at: datetime | None = None


def things_named(core: Core, text: str) -> WhatAnswers[list[Named]]:
    """Everything that the text names in the databases that answer, each thing once; nothing for what names nothing."""
    text = text.strip()
    if not text or len(text) > LONGEST_SEARCHED or not text.isprintable():
        return WhatAnswers([])
    with contextlib.suppress(*UNANSWERED):  # below it is said what is missing then
        if found := _in_its_slot(core, text):
            return WhatAnswers(found)
    return core.what_answers(lambda tx: _anywhere(tx, text))


def _in_its_slot(core: Core, text: str) -> list[Named]:
    """What a number of ours, or a UUID, names in the slot that it says; nothing if another slot has to be asked."""
    number, name = parse_number(text), uuid_of(text)
    if number is None:
        return [] if name is None else core.at(slot_of_uuid(name)).read(lambda tx: list(_by_uuid(tx, text)))

    def work(tx: Tx) -> list[Named]:
        facts = fact_search.facts_about(tx, number)
        return [] if facts is None else _together(tx, text, (_ours,), lambda _: facts)

    return core.of_number(number).read(work)


def _anywhere(tx: Tx, text: str) -> list[Named]:
    tx.of_several_slots("search")
    return _together(tx, text, (_ours, _by_uuid, _user, _theirs, _claimed), lambda tx: fact_search.find_facts(tx, text))


def _together(
    tx: Tx, text: str, looks: Iterable[Callable[[Tx, str], Iterator[Named]]], facts: Callable[[Tx], list[ShownFact]]
) -> list[Named]:
    found: dict[tuple[str, str], Named] = {}
    for look in looks:
        found |= {(thing.kind, thing.number): thing for thing in look(tx, text)}
    payments = {thing.payment for thing in found.values()} | {thing.order for thing in found.values()}
    for thing in _told(tx, text, payments, facts(tx)):
        found.setdefault((thing.kind, thing.number), thing)
    return list(found.values())[:MOST_NAMED]


# --- our own numbers: one slot ---


def _ours(tx: Tx, text: str) -> Iterator[Named]:
    number = parse_number(text)
    if number is None:
        return
    slot = slot_of_number(number)
    for row in tx.execute(select(*_o).where(_o.slot == slot, _o.id == number)):
        yield _named(row, "order", order=row.id)
    for row in tx.execute(_PAYMENTS.where(_p.slot == slot, _o.slot == slot, _p.id == number)):
        yield _named(row, "payment", payment=row.id)
    for row in tx.execute(_REFUNDS.where(_r.slot == slot, _o.slot == slot, _r.id == number)):
        yield _named(row, "refund", theirs=row.number_there)
    for row in tx.execute(select(*_s).where(_s.slot == slot, _s.id == number)):
        yield _named(row, "receipt", at=row.submitted_at)
    for row in tx.execute(select(*_m).where(_m.slot == slot, _m.id == number)):
        status = "waiting" if row.resolved_at is None else "settled"
        yield _named(row, "message", status=status, payment=row.payment_id, at=row.received_at)
    for row in tx.execute(select(*_g).where(_g.slot == slot, _g.id == number)):
        yield _named(row, "gift", user=row.giver)
    for row in tx.execute(select(*_agreed).where(_agreed.slot == slot, _agreed.id == number)):
        yield _named(row, "agreement", agreement=row.id)
    yield from _facts(tx, tx.execute(select(*_f).where(_f.slot == slot, _f.id == number)).all())


def _by_uuid(tx: Tx, text: str) -> Iterator[Named]:
    """A transfer, a hold, or the token by which stores know a user: the last digits are the slot."""
    name = uuid_of(text)
    if name is None:
        return
    slot = slot_of_uuid(name)
    of_book = and_(_A.slot == _T.slot, _A.id == _T.book_id)
    transfers = select(_T.id, _T.kind, _T.reference, _T.created_at, *_ACCOUNT).join(ACCOUNTS, of_book)
    for row in tx.execute(transfers.where(_T.slot == slot, _A.slot == slot, _T.id == name)):
        order = parse_number(row.reference) if row.kind in ("purchase", "bonus") else None
        yield _named(row, "transfer", status=row.kind, order=order)
    of_account = and_(_A.slot == _H.slot, _A.id == _H.account_id)
    holds = select(_H.id, _H.state, _H.created_at, *_ACCOUNT).join(ACCOUNTS, of_account)
    for row in tx.execute(holds.where(_H.slot == slot, _A.slot == slot, _H.id == name)):
        yield _named(row, "hold", status=row.state)
    for row in tx.execute(select(*_u).where(_u.slot == slot, _u.token == name)):
        yield Named(kind="user", number=row.id, user=row.id, at=row.created_at)


def _user(tx: Tx, text: str) -> Iterator[Named]:
    row = find_user(tx, text)
    if row is not None:
        yield Named(kind="user", number=row.id, user=row.id, at=row.created_at)


# --- providers' numbers: all slots ---


def _theirs(tx: Tx, text: str) -> Iterator[Named]:
    payments = select(literal("payment").label("kind"), _p.slot, _p.id).where(_p.theirs == text)
    refunds = select(literal("refund"), _r.slot, _r.id).where(or_(_r.theirs == text, _r.number_there == text))
    agreements = select(literal("agreement"), _agreed.slot, _agreed.id).where(_agreed.theirs == text)
    every = union_all(payments.prefix_with(sweep("search")), refunds, agreements).limit(MOST_NAMED)
    rows: list[AnyRow] = list(tx.execute(every))
    for found in rows:
        slot, number = found.slot, found.id
        if found.kind == "payment":
            for row in tx.execute(_PAYMENTS.where(_p.slot == slot, _o.slot == slot, _p.id == number)):
                yield _named(row, "payment", payment=row.id)
        elif found.kind == "agreement":
            for row in tx.execute(select(*_agreed).where(_agreed.slot == slot, _agreed.id == number)):
                yield _named(row, "agreement", agreement=row.id)
        else:
            for row in tx.execute(_REFUNDS.where(_r.slot == slot, _o.slot == slot, _r.id == number)):
                yield _named(row, "refund", theirs=row.number_there)


def _claimed(tx: Tx, text: str) -> Iterator[Named]:
    """A store's purchase, or an agreement with it, that a user has claimed with a configured provider account; or an
    imported agreement, by the number that an earlier system gave it."""
    old = claims.old_number_reference(text)
    kinds = {text: "purchase", claims.agreement_reference(text): "agreement", old: "agreement"}
    keys = [
        and_(
            _c.cslot == claims.slot_of_claim(account.name, environment, reference),
            _c.provider_account == account.name,
            _c.environment == environment,
            _c.reference == reference,
        )
        for account in tx.core.registry
        for environment in map(environment_of, (True, False))
        for reference in kinds
    ]
    if not keys:
        return
    for row in tx.execute(select(*_c).where(or_(*keys)).limit(MOST_NAMED)):
        yield Named(
            kind=kinds[row.reference],
            number=text,
            user=row.user_id,
            status="claimed",
            provider_account=row.provider_account,
            environment=row.environment,
            theirs=None if row.reference == old else text,
            at=row.claimed_at,
        )


def _told(tx: Tx, text: str, known: set[int | None], facts: Sequence[ShownFact]) -> Iterator[Named]:
    """Facts about no payment that was found by the number: nobody's money, another system's sale, a second trade under
    one of our numbers. Those of a payment that was found are in its timeline."""
    for shown in facts:
        row = shown.row
        if row.payment_id is None:
            yield _fact(shown)
        elif row.payment_id not in known and text in (row.content["theirs"], row.content["ours"]):
            yield from (_named(each, "payment", payment=each.id) for each in _payment_of(tx, row))
            yield _fact(shown)


def _payment_of(tx: Tx, fact: AnyRow) -> list[AnyRow]:
    return list(tx.execute(_PAYMENTS.where(_p.slot == fact.slot, _o.slot == fact.slot, _p.id == fact.payment_id)))


# --- as they are shown ---


def _facts(tx: Tx, rows: Any) -> Iterator[Named]:
    yield from map(_fact, fact_search.described(tx, rows))


def _fact(shown: ShownFact) -> Named:
    row = shown.row
    return _named(
        row,
        "fact",
        user=shown.user,
        status=f"{row.outcome} {row.reason}".strip(),
        payment=row.payment_id,
        theirs=row.content["theirs"],
        at=row.recorded_at,
    )


def _named(row: AnyRow, kind: str, **known: Any) -> Named:
    """What the row says of itself, and what is known beside."""
    plain = {
        "user": "user_id",
        "status": "status",
        "order": "order_id",
        "provider_account": "provider_account",
        "environment": "environment",
        "theirs": "theirs",
        "at": "created_at",
    }
    said = {name: getattr(row, column, None) or None for name, column in plain.items()}
    return Named(kind=kind, number=str(row.id), **{**said, **known})
