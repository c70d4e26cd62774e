"""Reading what lies in wallets and how it came there: lots, holds, transfers."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from typing import Any

from apiflask import APIBlueprint

from app.domain import list_tables
from app.domain.ledger import WALLET, AccountName, wallet
from app.services.base.errors import DomainError
from app.services.base.list_pages import TimeSpan
from app.services.ledger import transfer_lists, wallet_lists
from app.services.ledger.transfer_lists import TransferFilter
from app.services.ledger.wallet_lists import HoldFilter, LotFilter
from app.web import list_schemas as shapes
from app.web.access import Caller, caller, needs
from app.web.context import core
from app.web.lists import CSV_RESPONSE, MOMENT, NUMBER, UUID, ListShape, list_answer

blueprint = APIBlueprint("wallet_lists", __name__, url_prefix="/v1", tag="Wallets")
LOT_LIST = ListShape("lots", "lots", (NUMBER,), list_tables.LOT_COLUMNS)
HOLD_LIST = ListShape("holds", "holds", (MOMENT, UUID), list_tables.HOLD_COLUMNS)
TRANSFER_LIST = ListShape("transfers", "transfers", (NUMBER,), list_tables.TRANSFER_COLUMNS)
ALL_TRANSFERS = replace(TRANSFER_LIST, name="all-transfers", place=(MOMENT, UUID))


class ListTooLong(DomainError):
    """The member `field` names the member of the query that is missing, or too far from another."""

    code = "list_too_long"


@blueprint.get("/wallet/lots")
@needs("read")
@blueprint.input(shapes.LotsQuery, location="query", arg_name="query")
@blueprint.output(shapes.LotsOut)
@blueprint.doc(responses=CSV_RESPONSE)
def list_lots(query: shapes.LotsQuery) -> Any:
    """The lots of one wallet, oldest first: paid or bonus, what is left, when it expires, and what brought it in."""
    user_id, house = caller().user(query.user), core()
    account = wallet(user_id, query.asset, query.environment)
    wanted = LotFilter(
        account,
        query.show,
        None if query.kind is None else query.kind == "bonus",
        query.expires_before,
    )
    return list_answer(LOT_LIST.about(*account), query, partial(wallet_lists.list_lots, house, wanted))


@blueprint.get("/holds")
@needs("read")
@blueprint.input(shapes.HoldsQuery, location="query", arg_name="query")
@blueprint.output(shapes.HoldsOut)
@blueprint.doc(responses=CSV_RESPONSE)
def list_holds(query: shapes.HoldsQuery) -> Any:
    """The user's holds, newest first. One whose time is over is `expired`, at once."""
    who, house = caller(), core()
    made = TimeSpan(query.since, query.until)
    wanted = HoldFilter(who.user(query.user), query.state, query.asset, query.environment, made)
    return list_answer(HOLD_LIST, query, partial(wallet_lists.list_holds, house, wanted), _shown_to(who))


@blueprint.get("/holds/<uuid:hold_id>")
@needs("read")
@blueprint.input(shapes.OneQuery, location="query", arg_name="query")
@blueprint.output(shapes.HoldRecordOut)
def show_hold(hold_id: uuid.UUID, query: shapes.OneQuery) -> Any:
    """One hold as it stands."""
    who = caller()
    hold = wallet_lists.view_hold(core(), who.user_if_named(query.user), hold_id)
    return hold if who.user_id is None else replace(hold, actor=None)


@blueprint.get("/transfers")
@needs("read")
@blueprint.input(shapes.TransfersQuery, location="query", arg_name="query")
@blueprint.output(shapes.TransfersOut)
@blueprint.doc(responses=CSV_RESPONSE)
def list_transfers(query: shapes.TransfersQuery) -> Any:
    """The transfers of one account of the user by its versions; or, for a backend's key without `user`, those of all
    users and of the house from `since` on, of a day at most, by time."""
    who, house = caller(), core()
    user_id = who.user_if_named(query.user)
    newest_first = query.order == "newest_first"
    if user_id is None:
        made = TimeSpan(*_short_time(query))
        wanted = TransferFilter(None, query.asset, query.environment, query.kind, made, newest_first)
    else:
        account = AccountName(user_id, query.account or WALLET, query.asset or "coin", query.environment or "live")
        made = TimeSpan(query.since, query.until)
        wanted = TransferFilter(account, kind=query.kind, made=made, newest_first=newest_first)
    shape = ALL_TRANSFERS if wanted.account is None else TRANSFER_LIST.about(*wanted.account)
    return list_answer(shape, query, partial(transfer_lists.list_transfers, house, wanted), _shown_to(who))


@blueprint.get("/transfers/<uuid:transfer_id>")
@needs("read")
@blueprint.input(shapes.OneQuery, location="query", arg_name="query")
@blueprint.output(shapes.TransferDetailsOut)
def show_transfer(transfer_id: uuid.UUID, query: shapes.OneQuery) -> Any:
    """One transfer, with the lots that it made, used, or gave back to."""
    who = caller()
    found, lots = transfer_lists.view_transfer(core(), who.user_if_named(query.user), transfer_id)
    told = {"user": found.user, "lots": lots}
    return {**asdict(found), **told} if who.user_id is None else {**asdict(found), **told, "actor": None}


def _short_time(query: shapes.TransfersQuery) -> tuple[datetime, datetime]:
    """From when to when the transfers of all users are listed."""
    if query.account is not None:
        raise ListTooLong("Name the user whose account it is.", field="account")
    if query.since is None:
        raise ListTooLong(field="since")
    until = query.until or query.since + shapes.MOST_TIME
    if until - query.since > shapes.MOST_TIME:
        raise ListTooLong(f"Without `user`, at most {shapes.MOST_TIME} after `since`.", field="until")
    return query.since, until


def _shown_to(who: Caller) -> Callable[[Any], Any] | None:
    """How holds and transfers are shown, if not as they are: users are not told who of the app's people made them."""
    return None if who.user_id is None else lambda entry: replace(entry, actor=None)
