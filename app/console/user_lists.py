"""The lists of one user, and of one wallet, as tables of a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import url_for

from app.console.cells import ShownTable, table_of
from app.domain import list_tables, representations
from app.domain.ledger import AccountName
from app.domain.numbers import slot_of_user
from app.services.agreements.agreement_lists import AgreementFilter, list_agreements
from app.services.base.context import Core
from app.services.base.list_pages import ListPage, ListPlace
from app.services.ledger import reading
from app.services.ledger.wallet_lists import HoldFilter, LotFilter, list_holds, list_lots
from app.services.payments.order_rows import OrderFilter
from app.services.payments.orders import list_orders
from app.services.refunds.refund_lists import RefundFilter, list_refunds
from app.web.agreements import AGREEMENT_LIST
from app.web.ledger import STATEMENT_LIST
from app.web.lists import ListShape
from app.web.orders import ORDER_LIST
from app.web.refunds import REFUND_LIST
from app.web.wallet_lists import HOLD_LIST, LOT_LIST

Read = Callable[[Core, Any, ListPlace | None, int], ListPage[Any]]
"""A page of the list about a user (by the id) or a wallet (by the name of its account)."""


@dataclass(frozen=True, slots=True)
class ShownList:
    """A list, and the columns that a page shows of it."""

    title: str
    shape: ListShape
    columns: tuple[str, ...]
    read: Read
    entry: Callable[[Any], Any] = lambda row: row
    page_of_entry: str | None = None
    """The page that the number of an entry leads to."""

    def _leads_to(self, entry: Mapping[str, Any]) -> str | None:
        return None if self.page_of_entry is None else url_for(self.page_of_entry, number=entry["number"])

    def table(self, core: Core, about: Any, cursor: str | None, rows: int, address: Callable[[str], str]) -> ShownTable:
        """The rows from the cursor on. `address` gives the page that begins at a cursor. Raises NotACursor."""
        shape = self.shape.about(*about) if isinstance(about, AccountName) else self.shape
        page = self.read(core, about, None if cursor is None else shape.place_of(cursor), rows)
        further = None if page.next is None else address(shape.cursor(page.next))
        entries = map(self.entry, page.rows)
        return table_of(self.title, self.columns, entries, leads_to=self._leads_to, further=further)


def _statement(core: Core, account: AccountName, place: ListPlace | None, rows: int) -> ListPage[Any]:
    slot, cursor = slot_of_user(account.user_id), None if place is None else place[0]
    read = core.at(slot).read(
        lambda tx: reading.statement(tx, slot, account, cursor=cursor, limit=rows, newest_first=True, with_actors=True)
    )
    return ListPage(read.lines, None if read.cursor is None else (read.cursor,))


USER_LISTS = {
    "orders": ShownList(
        "Orders",
        ORDER_LIST,
        ("number", "created_at", "product", "quantity", "amount_minor", "status", "provider_account", "environment"),
        lambda core, user, place, rows: list_orders(core, OrderFilter(user), place, rows),
        lambda view: list_tables.order_in_list(view.order, view.payments),
        "console.show_order_page",
    ),
    "agreements": ShownList(
        "Agreements",
        AGREEMENT_LIST,
        ("number", "product", "provider_account", "status", "amount_minor", "paid_until", "next_charge_at", "ended_by"),
        lambda core, user, place, rows: list_agreements(core, AgreementFilter(user), place, rows),
        representations.agreement_data,
        "console.show_agreement_page",
    ),
    "refunds": ShownList(
        "Refunds",
        REFUND_LIST,
        ("number", "order", "created_at", "amount_minor", "undone_minor", "origin", "status", "reason", "actor"),
        lambda core, user, place, rows: list_refunds(core, RefundFilter(user_id=user), place, rows),
        lambda row: representations.refund_data(row, row.user_id),
    ),
    "holds": ShownList(
        "Holds",
        HOLD_LIST,
        ("id", "created_at", "asset", "amount", "captured", "rest", "state", "expires_at", "reference", "environment"),
        lambda core, user, place, rows: list_holds(core, HoldFilter(user), place, rows),
    ),
}
WALLET_LISTS = {
    "lots": ShownList(
        "Lots with something left",
        LOT_LIST,
        ("lot", "kind", "granted", "left", "expires_at", "product", "value_minor", "order", "source", "created_at"),
        lambda core, wallet, place, rows: list_lots(core, LotFilter(wallet), place, rows),
    ),
    "statement": ShownList(
        "Statement",
        STATEMENT_LIST,
        ("version", "at", "kind", "amount", "balance", "reference", "note", "actor"),
        _statement,
    ),
}
