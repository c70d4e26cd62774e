"""What the app's backend does to wallets besides spending: grants, debits, holds, reversals, batches."""

from __future__ import annotations

import uuid
from typing import Any

from apiflask import APIBlueprint

from app.domain.ledger import Posted, Refused, wallet
from app.domain.numbers import slot_of_number, slot_of_user
from app.domain.spending import Capture, HoldRequest, Spend, debit, grant
from app.services import ledger
from app.services.ledger import batches, holds, reversals
from app.services.ledger.hold_rows import Held
from app.web import ledger_schemas as shapes
from app.web import schemas
from app.web.access import caller, needs
from app.web.ledger import keyed_work, when_and_rules
from app.web.orders import core
from app.web.schemas import idempotency_key

blueprint = APIBlueprint("transfers", __name__, url_prefix="/v1", tag="Wallets")


@blueprint.get("/balance")
@needs("read")
@blueprint.input(shapes.BalanceAtQuery, location="query", arg_name="query")
@blueprint.output(shapes.BalanceAtOut)
def show_balance_at(query: shapes.BalanceAtQuery) -> Any:
    """What a wallet held at a moment in the past."""
    user_id = caller().user(query.user)
    account = wallet(user_id, query.asset, query.environment)
    found = core().read(lambda session: ledger.balance_at(session, slot_of_user(user_id), account, query.at))
    return {"asset": query.asset, "environment": query.environment, "at": query.at, "balance": found}


@blueprint.post("/grants")
@needs("grant")
@blueprint.input(shapes.GrantIn, arg_name="body")
@blueprint.output(schemas.PostedOut, status_code=201)
def create_grant(body: shapes.GrantIn) -> Any:
    """Give a user bonus coins, with the reason."""
    transfer = _grant(body, idempotency_key())
    slot, now = slot_of_user(body.user), when_and_rules()
    return keyed_work(lambda session: ledger.post(session, slot, [transfer], **now)[0])


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
        actor=caller().name,
        environment=body.environment,
        scope=f"debit:{caller().name}",
        reference=body.reference,
    )
    slot, now = slot_of_user(body.user), when_and_rules()
    return keyed_work(lambda session: ledger.spend(session, slot, request, **now))


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
        actor=caller().name,
    )
    now = when_and_rules()
    return keyed_work(lambda session: holds.hold(session, slot_of_user(user_id), request, **now))


@blueprint.post("/holds/<uuid:hold_id>/capture")
@needs("hold")
@blueprint.input(shapes.CaptureIn, arg_name="body")
@blueprint.output(schemas.PostedOut, status_code=201)
def capture_hold(hold_id: uuid.UUID, body: shapes.CaptureIn) -> Any:
    """Spend what a hold reserved: all of it or a part, once or several times."""
    request = Capture(
        hold_id=hold_id,
        key=idempotency_key(),
        amount=body.amount,
        final=body.final,
        scope=f"capture:{caller().name}",
        reference=body.reference,
        note=body.note,
        actor=caller().name,
    )
    now = when_and_rules()
    return keyed_work(lambda session: holds.capture(session, slot_of_number(hold_id.int), request, **now))


@blueprint.post("/holds/<uuid:hold_id>/release")
@needs("hold")
@blueprint.output(shapes.HoldOut)
def release_hold(hold_id: uuid.UUID) -> Any:
    """Give back what is still reserved. Repeating it is harmless."""
    now = when_and_rules()

    def work(session: Any) -> Held:
        return holds.release(session, slot_of_number(hold_id.int), hold_id, **now)

    return keyed_work(work)


@blueprint.post("/transfers/<uuid:transfer_id>/reverse")
@needs("grant")
@blueprint.input(shapes.ReverseIn, arg_name="body")
@blueprint.output(schemas.PostedOut, status_code=201)
def reverse_transfer(transfer_id: uuid.UUID, body: shapes.ReverseIn) -> Any:
    """Undo a transfer by a new one, at most once. Coins go back into the lots that they came from."""
    request = reversals.Reverse(
        transfer_id=transfer_id,
        key=idempotency_key(),
        reason=body.reason,
        actor=caller().name,
        amount=body.amount,
        scope=f"reverse:{caller().name}",
    )
    now = when_and_rules()
    return keyed_work(lambda session: reversals.reverse(session, slot_of_number(transfer_id.int), request, **now))


@blueprint.post("/transfers/batch")
@needs("spend")
@needs("grant")
@blueprint.input(shapes.BatchIn, arg_name="body")
@blueprint.output(shapes.BatchOut)
def create_batch(body: shapes.BatchIn) -> Any:
    """Up to 500 spends and grants, each with its own key and answer; all or nothing, or one by one."""
    items = [_grant(item, item.key) if isinstance(item, shapes.GrantItem) else _spend(item) for item in body.items]
    now = when_and_rules()
    result = keyed_work(lambda session: batches.book_batch(session, items, all_or_nothing=body.all_or_nothing, **now))
    return {"applied": result.applied, "items": [_item(answer, result.applied) for answer in result.answers]}


def _grant(body: shapes.GrantIn, key: str) -> Any:
    return grant(
        body.user,
        body.asset,
        body.amount,
        key,
        reason=body.reason,
        actor=caller().name,
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
        actor=caller().name,
    )


def _item(answer: Posted | Refused, applied: bool) -> dict[str, Any]:
    if isinstance(answer, Refused):
        return {"code": answer.code, "details": dict(answer.details), "posted": None}
    return {"code": None, "details": {}, "posted": answer if applied else None}
