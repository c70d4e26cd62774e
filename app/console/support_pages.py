"""Pages for those who help users: search, users, orders, agreements, and what waits for a person."""

from __future__ import annotations

from typing import Any

from flask import abort, redirect, render_template, request, url_for

from app.console.cells import ShownCell, ShownTable, shown_text, table_of
from app.console.sign_in import blueprint, for_role, is_for
from app.console.user_lists import USER_LISTS, WALLET_LISTS
from app.console.waiting import everything_waiting
from app.console.wording import say
from app.domain import representations
from app.domain.ledger import ENVIRONMENTS, InvalidTransfer, wallet
from app.domain.numbers import slot_of_user
from app.services.accounts.operators import FINANCE, SUPPORT
from app.services.accounts.users import check_user_id
from app.services.agreements.agreement_lists import periods_of
from app.services.agreements.agreement_requests import view_agreement
from app.services.agreements.entitlements import entitlements_of_user
from app.services.ledger.reading import holdings
from app.services.lookup.entries import sentence
from app.services.lookup.search import Named, things_named
from app.services.lookup.timeline import TimelinePage, agreement_timeline, timeline
from app.services.payments.orders import view_order
from app.services.refunds.requests import list_refunds_of_order
from app.web.context import core, number_in

ROWS_OF_PAGE = 50
"""Rows of a list on a page of its own."""
ROWS_OF_PART = 10
"""Rows of a list that is a part of a page."""
PERIODS_SHOWN = 36
"""Periods of an agreement on its page, the newest."""
_ORDER = (
    *("user", "status", "product", "title", "quantity", "amount_minor", "grants", "environment", "fulfilment_status"),
    *("created_at", "expires_at", "paid_at", "agreement"),
)
_PAYMENTS = ("number", "provider_account", "way", "status", "created_at", "paid_at")
_REFUNDS = ("number", "created_at", "amount_minor", "undone_minor", "origin", "status", "reason", "actor")
_AGREEMENT = (
    *("user", "status", "product", "title", "provider_account", "provider_number", "by_store", "amount_minor"),
    *("signed_at", "paid_until", "grace_until", "next_charge_at", "cancel_at", "ended_at", "ended_by"),
    *("entitlements", "environment"),
)
_PERIODS = ("number", "starts_at", "ends_at", "status", "order", "refusal", "next_try_at")
_FOUND = ("number", "kind", "status", "user", "order", "provider_account", "theirs", "environment", "at")


@blueprint.get("/")
@for_role(SUPPORT)
def show_start() -> Any:
    """What waits for a person, and the search."""
    return render_template("console/start.html", waiting=everything_waiting(core(), for_finance=is_for(FINANCE)))


@blueprint.get("/<path:address>")
@for_role(SUPPORT)
def show_no_page(address: str) -> Any:
    """What is no address of the console is a page that says so."""
    abort(404)


@blueprint.get("/search")
@for_role(SUPPORT)
def search_page() -> Any:
    """Everything that a number names."""
    text = request.args.get("number", "").strip()
    answer = things_named(core(), text)
    pages = {_page_of(thing) for thing in answer.found} - {None}
    if len(pages) == 1 and not answer.missing:
        return redirect(pages.pop() or "")
    table = table_of("Found", _FOUND, answer.found, leads_to=_page_of) if answer.found else None
    return render_template("console/search.html", text=text, table=table, missing=answer.missing)


def _page_of(thing: Any) -> str | None:
    """The page about a thing that was found: of its order or agreement, else of its user."""
    known = thing if isinstance(thing, dict) else {name: getattr(thing, name) for name in Named.__slots__}
    if known.get("agreement") is not None:
        return url_for("console.show_agreement_page", number=known["agreement"])
    if known.get("order") is not None:
        return url_for("console.show_order_page", number=known["order"])
    return url_for("console.show_user", user=known["user"]) if known.get("user") else None


@blueprint.get("/users")
@for_role(SUPPORT)
def show_user() -> Any:
    """Coins, what is active, and the newest of each list of a user."""
    user = check_user_id(request.args.get("user", ""))
    slot, house = slot_of_user(user), core()
    held = house.at(slot).read(lambda tx: holdings(tx, slot, user, at=tx.now))
    wallets = table_of(
        "Wallets",
        ("asset", "environment", "balance", "held", "available", "frozen"),
        held.balances,
        leads_to=lambda entry: url_for(
            "console.show_wallet_page", user=user, asset=entry["asset"], environment=entry["environment"]
        ),
    )
    debts = table_of("Owed coins", ("asset", "environment", "amount"), held.debts)
    active = map(representations.entitlement_data, entitlements_of_user(house, user))
    entitled = table_of(
        "Active now", ("name", "environment", "until", "product", "agreement", "provider_account", "status"), active
    )
    lists = [_part(name, user) for name in USER_LISTS]
    return render_template("console/user.html", user=user, tables=[wallets, debts, entitled, *lists])


@blueprint.get("/users/<name>")
@for_role(SUPPORT)
def show_user_list(name: str) -> Any:
    """A list of a user, page by page."""
    if name not in USER_LISTS:
        abort(404)
    user, cursor = check_user_id(request.args.get("user", "")), request.args.get("cursor")
    shown = USER_LISTS[name].table(core(), user, cursor, ROWS_OF_PAGE, lambda place: _list_address(name, user, place))
    return render_template("console/user.html", user=user, tables=[shown])


def _part(name: str, user: str) -> ShownTable:
    return USER_LISTS[name].table(core(), user, None, ROWS_OF_PART, lambda place: _list_address(name, user, place))


def _list_address(name: str, user: str, cursor: str) -> str:
    return url_for("console.show_user_list", name=name, user=user, cursor=cursor)


@blueprint.get("/wallets")
@for_role(SUPPORT)
def show_wallet_page() -> Any:
    """The lots of a wallet and its statement, newest line first; with `list`, one of the two from a cursor on."""
    user, asset = check_user_id(request.args.get("user", "")), request.args.get("asset", "")
    environment, only = request.args.get("environment", ENVIRONMENTS[0]), request.args.get("list")
    try:
        account = wallet(user, asset, environment)
    except InvalidTransfer:
        abort(404)

    def table(name: str) -> ShownTable:
        def address(cursor: str) -> str:
            values: dict[str, Any] = {"user": user, "asset": asset, "environment": environment}
            return url_for("console.show_wallet_page", **values, list=name, cursor=cursor)

        cursor = request.args.get("cursor") if name == only else None
        return WALLET_LISTS[name].table(core(), account, cursor, ROWS_OF_PAGE, address)

    names = [only] if only in WALLET_LISTS else list(WALLET_LISTS)
    return render_template("console/wallet.html", account=account, tables=[table(name) for name in names if name])


@blueprint.get("/orders/<number>")
@for_role(SUPPORT)
def show_order_page(number: str) -> Any:
    """An order with its payments, refunds and timeline."""
    order_id = number_in(number)
    shown = representations.order_view_data(view_order(core(), None, order_id))
    agreement = None if shown["agreement"] is None else shown["agreement"]["number"]
    back = [representations.refund_data(row, shown["user"]) for row in list_refunds_of_order(core(), order_id)]
    page = timeline(core(), order_id, cursor=request.args.get("cursor"))
    return render_template(
        "console/thing.html",
        title="Order",
        number=number,
        facts=table_of("Order", _ORDER, [{**shown, "agreement": agreement}]),
        tables=[table_of("Payments", _PAYMENTS, shown["payments"]), table_of("Refunds", _REFUNDS, back)],
        timeline=_timeline(page, "console.show_order_page", number),
    )


@blueprint.get("/agreements/<number>")
@for_role(SUPPORT)
def show_agreement_page(number: str) -> Any:
    """An agreement with its periods and its timeline."""
    row = view_agreement(core(), None, number_in(number))
    periods = map(representations.period_data, periods_of(core(), row, None, PERIODS_SHOWN).rows)
    page = agreement_timeline(core(), row.id, cursor=request.args.get("cursor"))
    return render_template(
        "console/thing.html",
        title="Agreement",
        number=number,
        facts=table_of("Agreement", _AGREEMENT, [representations.agreement_data(row)]),
        tables=[table_of("Periods", _PERIODS, periods)],
        timeline=_timeline(page, "console.show_agreement_page", number),
    )


def _timeline(page: TimelinePage, endpoint: str, number: str) -> ShownTable:
    further = None if page.cursor is None else url_for(endpoint, number=number, cursor=page.cursor)
    rows = [[ShownCell(shown_text(entry.at)), ShownCell(sentence(entry, say))] for entry in page.entries]
    return ShownTable(say("What happened, oldest first"), [say("Time"), say("What")], rows, further)
