"""Refunds, and frozen wallets, for the app's backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from apiflask import APIBlueprint

from app.domain import list_tables, representations
from app.domain.numbers import parse_number, slot_of_user
from app.domain.refunding import Clawback
from app.models.base import AnyRow
from app.services.accounts.users import check_user_id
from app.services.base.idempotency import keyed
from app.services.base.list_pages import TimeSpan
from app.services.calls import refund_calls
from app.services.ledger import freezes
from app.services.refunds import refund_lists
from app.services.refunds.refund_lists import RefundFilter
from app.services.refunds.requests import Wanted
from app.web import refund_schemas as shapes
from app.web import schemas
from app.web.access import Caller, caller, needs
from app.web.context import core, number_in
from app.web.lists import CSV_RESPONSE, MOMENT, NUMBER, ListShape, list_answer

blueprint = APIBlueprint("refunds", __name__, url_prefix="/v1", tag="Refunds")
REFUND_LIST = ListShape("refunds", "refunds", (MOMENT, NUMBER), list_tables.REFUND_COLUMNS)
REFUNDS_OF_ORDER = replace(REFUND_LIST, name="order-refunds")
FREEZE_LIST = ListShape("freezes", "freezes", (NUMBER,), list_tables.FREEZE_COLUMNS)
NOT_TOLD_TO_USERS = {"actor": None, "problem": "", "dispute_fee_minor": None, "dispute_fee_currency": None}
"""Who of the app's people asked, what went wrong with the provider, and what it charges."""


@blueprint.post("/refunds")
@needs("refund")
@blueprint.input(shapes.RefundIn, arg_name="body")
@blueprint.output(shapes.RefundOut, status_code=201)
def create_refund(body: shapes.RefundIn) -> Any:
    """Give money of a payment back, whole or in part, and take its coins back.

    The coins are reserved at once; the answer says how far the refund has come, and it goes on by itself. Sending the
    same request with the same Idempotency-Key again shows the same refund.
    """
    request = keyed(caller().name, schemas.idempotency_key(), "refund", caller().content(body))
    wanted = Wanted(
        payment_id=parse_number(body.payment),
        order_id=parse_number(body.order),
        amount_minor=body.amount_minor,
        reason=body.reason,
        policy=Clawback(body.policy) if body.policy else None,
        caller=caller().actor,
        caps=caller().caps,
    )
    return _shown(refund_calls.request_refund(core(), wanted, request))


@blueprint.get("/refunds/<number>")
@needs("refund", "read")
@blueprint.output(shapes.RefundOut)
def show_refund(number: str) -> Any:
    """One refund; for a user's token, of an order of that user. One that is not settled is taken a step further first,
    if that is due."""
    refund_id, who = number_in(number), caller()
    if who.user_id is not None:
        refund_lists.check_owner(core(), who.user_id, refund_id)
    return _shown_to(who)(refund_calls.refund_for_reader(core(), refund_id))


@blueprint.get("/refunds")
@needs("refund", "read")
@blueprint.input(shapes.RefundsQuery, location="query", arg_name="query")
@blueprint.output(shapes.RefundsOut)
@blueprint.doc(responses=CSV_RESPONSE)
def list_refunds(query: shapes.RefundsQuery) -> Any:
    """Refunds: those we asked for, and those that the provider decided. Of an order, oldest first; else newest first,
    of the user, or, for a backend's key without `user`, of all users."""
    who = caller()
    order_id, user_id = None if query.order is None else number_in(query.order), who.user_if_named(query.user)
    house = core().for_reports() if order_id is None and user_id is None else core()
    wanted = RefundFilter(order_id, user_id, query.status, TimeSpan(query.since, query.until))
    shape = REFUND_LIST if order_id is None else REFUNDS_OF_ORDER
    return list_answer(shape, query, partial(refund_lists.list_refunds, house, wanted), _shown_to(who))


@blueprint.post("/wallets/freeze")
@needs("freeze")
@blueprint.input(shapes.FreezeIn, arg_name="body")
@blueprint.output(shapes.FreezeOut, status_code=201)
def freeze_wallet(body: shapes.FreezeIn) -> Any:
    """Refuse spends and holds from now on (`wallet_frozen`). Credits still come in."""
    return _change(body, frozen=True)


@blueprint.post("/wallets/unfreeze")
@needs("freeze")
@blueprint.input(shapes.FreezeIn, arg_name="body")
@blueprint.output(shapes.FreezeOut, status_code=201)
def unfreeze_wallet(body: shapes.FreezeIn) -> Any:
    """Allow spends again."""
    return _change(body, frozen=False)


@blueprint.get("/wallets/freezes")
@needs("freeze")
@blueprint.input(shapes.FreezesQuery, location="query", arg_name="query")
@blueprint.output(shapes.FreezesOut)
@blueprint.doc(responses=CSV_RESPONSE)
def list_freezes(query: shapes.FreezesQuery) -> Any:
    """Who froze and unfroze the user's wallets, and why, oldest first."""
    read = partial(freezes.history, core(), check_user_id(query.user))
    return list_answer(FREEZE_LIST, query, read, representations.freeze_data)


def _change(body: shapes.FreezeIn, *, frozen: bool) -> dict[str, Any]:
    user_id = check_user_id(body.user)
    what = "freeze" if frozen else "unfreeze"
    request = keyed(caller().speaking_for(user_id), schemas.idempotency_key(), what, caller().content(body))
    wanted = freezes.Change(user_id, body.environment, body.asset, frozen, body.reason, caller().actor)
    number = freezes.change_freeze(core(), wanted, request)
    return representations.freeze_data(freezes.entry(core(), slot_of_user(user_id), number))


def _shown(row: AnyRow) -> dict[str, Any]:
    return representations.refund_data(row, row.user_id)


def _shown_to(who: Caller) -> Callable[[AnyRow], dict[str, Any]]:
    """How refunds are shown to that caller."""
    return _shown if who.user_id is None else lambda row: {**_shown(row), **NOT_TOLD_TO_USERS}
