"""What the app's backend does to wallets besides spending: grants, debits, holds, reversals, batches."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from apiflask import APIBlueprint
from pydantic import BaseModel

from app.domain import representations
from app.domain.caps import DEBITS, GRANTS
from app.domain.ledger import BalanceOverflow, NoSuchEntry, Posted, Refused, wallet
from app.domain.numbers import slot_of_number, slot_of_reference, slot_of_user
from app.domain.spending import Capture, HoldRequest, Spend, debit, grant
from app.services import ledger
from app.services.accounts import caller_caps
from app.services.accounts.users import check_known
from app.services.base.context import Place, Tx
from app.services.base.errors import DomainError
from app.services.base.idempotency import NO_RESOURCE, claim_key, find_key, keyed, remembering
from app.services.ledger import batches, holds, reversals
from app.services.ledger.batches import BatchResult
from app.services.ledger.hold_rows import Held
from app.services.ledger.idempotency import find_transfer
from app.web import ledger_schemas as shapes
from app.web import schemas
from app.web.access import caller, needs
from app.web.context import core, declared_assets
from app.web.ledger import answered
from app.web.schemas import idempotency_key

blueprint = APIBlueprint("transfers", __name__, url_prefix="/v1", tag="Wallets")

T = TypeVar("T")
BatchItem = shapes.SpendItem | shapes.GrantItem


class BatchNotApplied(DomainError):
    """All or nothing, and an item was refused. The member `items` is the answer for each item."""

    code = "batch_not_applied"


class BatchSpread(DomainError):
    """All or nothing, and the users' wallets lie in several databases, which have no transaction together. Send the
    items one by one, or make a batch for each."""

    code = "batch_spread"
    remembered = False


@blueprint.get("/balance")
@needs("read")
@blueprint.input(shapes.BalanceAtQuery, location="query", arg_name="query")
@blueprint.output(shapes.BalanceAtOut)
def show_balance_at(query: shapes.BalanceAtQuery) -> Any:
    """What a wallet held at a moment in the past."""
    user_id = caller().user(query.user)
    account = wallet(user_id, query.asset, query.environment)
    found = core().of_user(user_id).read(lambda tx: ledger.balance_at(tx, slot_of_user(user_id), account, query.at))
    return {**representations.wallet_data(account), "at": query.at, "balance": found}


@blueprint.post("/grants")
@needs("grant")
@blueprint.input(shapes.GrantIn, arg_name="body")
@blueprint.output(schemas.PostedOut, status_code=201)
def create_grant(body: shapes.GrantIn) -> Any:
    """Give a user bonus coins, with the reason."""
    transfer = _grant(body, idempotency_key())
    slot = slot_of_user(body.user)
    declared_assets().check([body.asset])

    def work(tx: Tx) -> Posted:
        check_known(tx, _must_be_known([body]))
        posted = ledger.post(tx, slot, [transfer])[0]
        _count(tx, GRANTS, [(body, posted)])
        return posted

    return _refused_once(slot, "grant", body.user, transfer.key, body, work)


@blueprint.post("/debits")
@needs("grant")
@blueprint.input(shapes.DebitIn, arg_name="body")
@blueprint.output(schemas.PostedOut, status_code=201)
def create_debit(body: shapes.DebitIn) -> Any:
    """Take coins away from a user, with the reason. Spend limits do not apply."""
    request = debit(
        body.user,
        body.asset,
        body.amount,
        idempotency_key(),
        reason=body.reason,
        actor=caller().actor,
        environment=body.environment,
        scope=f"debit:{caller().name}",
        reference=body.reference,
    )
    declared_assets().check([body.asset])

    def work(tx: Tx) -> Posted | Refused:
        check_known(tx, _must_be_known([body]))
        answer = ledger.spend(tx, slot_of_user(body.user), request)
        _count(tx, DEBITS, [(body, answer)])
        return answer

    return answered(core().of_user(request.user_id).transact(work), request)


@blueprint.post("/holds")
@needs("hold")
@blueprint.input(shapes.HoldIn, arg_name="body")
@blueprint.output(shapes.HoldOut, status_code=201)
def create_hold(body: shapes.HoldIn) -> Any:
    """Reserve coins for some seconds. Sending it again with the same key shows the hold as it stands."""
    user_id = caller().user(body.user)
    request = HoldRequest(
        user_id=user_id,
        asset=body.asset,
        amount=body.amount,
        key=idempotency_key(),
        seconds=body.seconds,
        scope=f"hold:{caller().name}",
        environment=body.environment,
        reference=body.reference,
        note=body.note,
        actor=caller().actor,
    )

    def work(tx: Tx) -> Held | Refused:
        return holds.hold(tx, slot_of_user(user_id), request)

    return answered(core().of_user(request.user_id).transact(work), request)


@blueprint.post("/holds/<uuid:hold_id>/capture")
@needs("hold")
@blueprint.input(shapes.CaptureIn, arg_name="body")
@blueprint.output(schemas.PostedOut, status_code=201)
def capture_hold(hold_id: uuid.UUID, body: shapes.CaptureIn) -> Any:
    """Spend what a hold reserved: all of it or a part, once or several times."""
    slot = slot_of_number(hold_id.int)
    request = Capture(
        hold_id=hold_id,
        key=idempotency_key(),
        amount=body.amount,
        final=body.final,
        scope=f"capture:{caller().name}",
        reference=body.reference,
        note=body.note,
        actor=caller().actor,
    )

    def work(tx: Tx) -> Posted | Refused:
        return holds.capture(tx, slot, request)

    return answered(_refused_once(slot, "capture", str(hold_id), request.key, body, work))


@blueprint.post("/holds/<uuid:hold_id>/release")
@needs("hold")
@blueprint.output(shapes.HoldOut)
def release_hold(hold_id: uuid.UUID) -> Any:
    """Give back what is still reserved. Repeating it is harmless."""

    def work(tx: Tx) -> Held:
        return holds.release(tx, slot_of_number(hold_id.int), hold_id)

    return core().of_number(hold_id.int).transact(work)


@blueprint.post("/transfers/<uuid:transfer_id>/reverse")
@needs("grant")
@blueprint.input(shapes.ReverseIn, arg_name="body")
@blueprint.output(schemas.PostedOut, status_code=201)
def reverse_transfer(transfer_id: uuid.UUID, body: shapes.ReverseIn) -> Any:
    """Undo a transfer by a new one, at most once. Coins go back into the lots that they came from."""
    slot = slot_of_number(transfer_id.int)
    request = reversals.Reverse(
        transfer_id=transfer_id,
        key=idempotency_key(),
        reason=body.reason,
        actor=caller().actor,
        amount=body.amount,
        scope=f"reverse:{caller().name}",
    )

    def work(tx: Tx) -> Posted | Refused:
        answer = reversals.reverse(tx, slot, request)
        if isinstance(answer, Posted) and not answer.repeated and caller().caps.sources:
            _count_reversal(tx, slot, answer)
        return answer

    return answered(_refused_once(slot, "reverse", str(transfer_id), request.key, body, work))


@blueprint.post("/transfers/batch")
@needs("spend")
@needs("grant")
@blueprint.input(shapes.BatchIn, arg_name="body")
@blueprint.output(shapes.BatchOut)
def create_batch(body: shapes.BatchIn) -> Any:
    """Up to 500 spends and grants, each with its own key and answer; all or nothing, or one by one."""
    declared_assets().check(item.asset for item in body.items if isinstance(item, shapes.GrantItem))
    parts = core().by_database(enumerate(body.items), lambda one: slot_of_user(one[1].user))
    if body.all_or_nothing and len(parts) > 1:
        raise BatchSpread(f"the users of this batch lie in {len(parts)} databases")
    answers: dict[int, Any] = {}
    try:
        for place, items in parts:
            answers |= _booked(place, body, items)
    except BatchNotApplied as refused:
        return {"applied": False, "items": refused.members["items"]}
    return {"applied": True, "items": [answers[number] for number in range(len(body.items))]}


def _booked(place: Place, body: shapes.BatchIn, part: list[tuple[int, BatchItem]]) -> dict[int, Any]:
    """Book the items that lie in one database, in one transaction; the answers by the items' numbers."""
    numbers, wanted = [number for number, _ in part], [item for _, item in part]
    items = [_grant(item, item.key) if isinstance(item, shapes.GrantItem) else _spend(item) for item in wanted]
    key = idempotency_key()
    request = keyed(f"batch:{caller().name}", key, "batch", caller().content(body))
    slot = slot_of_reference(f"{caller().name}:{key}")
    if not place.holds(slot):
        slot = slot_of_user(wanted[0].user)

    def work(tx: Tx) -> BatchResult:
        tx.of_several_slots("batch")
        # A repeat is booked once more: each item has a key of its own, and says the same.
        is_new = find_key(tx, slot, request) is None
        check_known(tx, _must_be_known([item for item in wanted if isinstance(item, shapes.GrantItem)]))
        result = batches.book_batch(tx, items, all_or_nothing=body.all_or_nothing)
        if not result.applied:
            raise BatchNotApplied(items=[_item(answer, applied=False) for answer in result.answers])
        if is_new:
            claim_key(tx, slot, request, NO_RESOURCE)
        _count(tx, GRANTS, zip(wanted, result.answers, strict=True))
        return result

    result = remembering(core(), slot, request, work, lambda _: place.transact(work), where=place)
    return dict(zip(numbers, (_item(answer, applied=True) for answer in result.answers), strict=True))


def _must_be_known(bodies: Iterable[shapes.GrantIn | shapes.DebitIn]) -> list[str]:
    """The users of these requests whom somebody must have seen before (ADR 0038)."""
    said = [(body.user, body.new_user if isinstance(body, shapes.GrantIn) else None) for body in bodies]
    return [user for user, new in said if caller().types_in(new)]


def _count(tx: Tx, verb: str, answers: Iterable[tuple[BaseModel, Posted | Refused]]) -> None:
    """Hold the caller to its caps with all that this one call has booked; spends have none (ADR 0038)."""
    moved = defaultdict[tuple[str, str], int](int)
    for body, answer in answers:
        if isinstance(body, shapes.GrantIn | shapes.DebitIn) and isinstance(answer, Posted) and not answer.repeated:
            moved[body.asset, body.environment] += answer.amount
    for asset, environment in sorted(moved):  # one order for everybody: the rows are locked
        caller_caps.count(tx, caller().caps, verb, asset, environment, moved[asset, environment])


def _count_reversal(tx: Tx, slot: int, posted: Posted) -> None:
    """A reversal that gives the user coins counts as a grant, one that takes coins as a debit (ADR 0038)."""
    moved = find_transfer(tx, slot, posted.id)
    if moved is not None:
        verb, book = (GRANTS, moved.credit) if moved.credit.is_wallet else (DEBITS, moved.debit)
        caller_caps.count(tx, caller().caps, verb, book.asset, book.environment, posted.amount)


def _refused_once(slot: int, verb: str, about: str, key: str, body: BaseModel, work: Callable[[Tx], T]) -> T:
    """Run work of the ledger. What the ledger books or refuses, it keeps for the key by itself. What it cannot do at
    all (no such entry, a balance that would overflow) is kept here, so that it stays refused under the key."""
    request = keyed(f"{verb}:{caller().name}:{about}", key, verb, caller().content(body))

    def looked(tx: Tx) -> T:
        find_key(tx, slot, request)
        try:
            return work(tx)
        except (BalanceOverflow, NoSuchEntry) as error:
            refused = DomainError()
            refused.code = error.code
            raise refused from None

    return remembering(core(), slot, request, looked, lambda _: core().at(slot).transact(work))


def _grant(body: shapes.GrantIn, key: str) -> Any:
    return grant(
        body.user,
        body.asset,
        body.amount,
        key,
        reason=body.reason,
        actor=caller().actor,
        environment=body.environment,
        scope=f"grant:{caller().name}",
        reference=body.reference,
        expires_at=body.expires_at,
        product=body.product or "",
    )


def _spend(body: shapes.SpendItem) -> Spend:
    return Spend(
        user_id=body.user,
        asset=body.asset,
        amount=body.amount,
        key=body.key,
        scope=f"spend:{caller().name}",
        environment=body.environment,
        reference=body.reference,
        note=body.note,
        actor=caller().actor,
    )


def _item(answer: Posted | Refused, *, applied: bool) -> dict[str, Any]:
    if isinstance(answer, Refused):
        return {"code": answer.code, "details": dict(answer.details), "posted": None}
    return {"code": None, "details": {}, "posted": answer if applied else None}
