"""Store purchases: the token that marks them as the user's, and the proof that the client brings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint
from flask import request

from app.services.accounts.users import ensure_user, record_consent
from app.services.base.context import Tx
from app.services.intake import receipts
from app.web import receipt_schemas as shapes
from app.web import schemas
from app.web.access import caller, needs
from app.web.context import core

blueprint = APIBlueprint("receipts", __name__, url_prefix="/v1", tag="Store purchases")


@blueprint.get("/account-token")
@needs("receipts")
@blueprint.input(schemas.UserQuery, location="query", arg_name="query")
@blueprint.output(shapes.AccountTokenOut)
def show_account_token(query: schemas.UserQuery) -> Any:
    """The user's account token, a UUID: give it to the store with every purchase. It never changes."""
    user_id = caller().user(query.user)

    def work(tx: Tx) -> str:
        return str(ensure_user(tx, user_id).token)

    return {"token": core().of_user(user_id).transact(work)}


@blueprint.put("/consent")
@needs("receipts")
@blueprint.input(shapes.ConsentIn, arg_name="body")
@blueprint.output(shapes.ConsentOut)
def set_consent(body: shapes.ConsentIn) -> Any:
    """Record whether the user agrees that a store is told how much of a purchase was used.

    Stores ask that before a refund; without the user's consent nothing is told. Safe to repeat.
    """
    user_id = caller().user(body.user)
    moment = core().clock.now() if body.consented else None

    def work(tx: Tx) -> None:
        ensure_user(tx, user_id)
        record_consent(tx, user_id, moment)

    core().of_user(user_id).transact(work)
    return {"user": user_id, "consented": body.consented}


@blueprint.post("/receipts/<provider_account>")
@needs("receipts")
@blueprint.input(schemas.UserQuery, location="query", arg_name="query")
@blueprint.input(shapes.ReceiptIn, arg_name="body")
@blueprint.output(shapes.ReceiptOut)
def submit_receipt(provider_account: str, query: schemas.UserQuery, body: shapes.ReceiptIn) -> Any:
    """Hand in the proof of one or many store purchases, as the store gave it to the client.

    Submitting it again is always safe: the same proof has the same answer and is credited once, so no Idempotency-Key
    is needed. `finish` says for each purchase whether the client may tell the store that it was delivered.
    """
    user_id = caller().user(query.user)
    done = receipts.submit(core(), provider_account, user_id, request.get_data())
    return {"receipt": done.receipt, "status": done.status, "purchases": [asdict(one) for one in done.purchases]}
