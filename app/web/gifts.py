"""Gifts from user to user."""

from __future__ import annotations

from functools import partial
from typing import Any

from apiflask import APIBlueprint

from app.domain import list_tables, representations
from app.domain.gifts import GiftRequest
from app.domain.ledger import LONGEST
from app.services.accounts.users import check_known
from app.services.base.errors import NotFound
from app.services.base.idempotency import keyed
from app.services.gifts import journey
from app.services.gifts.journey import GiftsNotAllowed
from app.web import gift_schemas as shapes
from app.web.access import caller, needs
from app.web.context import core, number_in
from app.web.lists import CSV_RESPONSE, NUMBER, ListShape, list_answer
from app.web.schemas import ListQuery, idempotency_key

blueprint = APIBlueprint("gifts", __name__, url_prefix="/v1", tag="Wallets")
GIFT_LIST = ListShape("gifts", "gifts", (NUMBER,), list_tables.GIFT_COLUMNS)


@blueprint.post("/gifts")
@needs("spend", "gift")
@blueprint.input(shapes.GiftIn, arg_name="body")
@blueprint.output(shapes.GiftOut, status_code=201)
def create_gift(body: shapes.GiftIn) -> Any:
    """Give coins of one user to another, with the expiry, the value and the origin that they have.

    The answer says how far the gift has come; it goes on by itself. What the receiver cannot take comes back.
    """
    who = caller()
    if who.user_id is not None and not core().rules.gifts.by_users:
        raise GiftsNotAllowed("users' own tokens may not give here")
    giver = who.user(body.user)
    if who.types_in(body.new_user):
        core().of_user(body.receiver).read(lambda tx: check_known(tx, [body.receiver]))
    request = keyed(who.speaking_for(giver), idempotency_key(), "gift", who.content(body))
    wanted = GiftRequest(
        giver=giver,
        receiver=body.receiver,
        asset=body.asset,
        amount=body.amount,
        environment=body.environment,
        message=body.message,
        reference=body.reference,
        actor=who.actor[: LONGEST["actor"]],  # a user's id alone may have as many characters
    )
    return representations.gift_data(journey.give(core(), wanted, request)._asdict())


@blueprint.get("/gifts/<number>")
@needs("read")
@blueprint.output(shapes.GiftOut)
def show_gift(number: str) -> Any:
    """One gift: for the backend, for its giver and for its receiver."""
    parsed = number_in(number)
    row = journey.view_gift(core(), parsed)
    if caller().user_id not in (None, row.giver, row.receiver):
        raise NotFound(gift=number)
    return representations.gift_data(row._asdict())


@blueprint.get("/gifts")
@needs("read")
@blueprint.input(ListQuery, location="query", arg_name="query")
@blueprint.output(shapes.GiftsOut)
@blueprint.doc(responses=CSV_RESPONSE)
def list_gifts(query: ListQuery) -> Any:
    """What a user gave and got, newest first. A gift on its way to the user is listed when it has come in."""
    return list_answer(
        GIFT_LIST,
        query,
        partial(journey.list_gifts_of_user, core(), caller().user(query.user)),
        representations.gift_data,
    )
