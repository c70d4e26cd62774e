"""Whoever edits, deletes or inserts a row behind the ledger's back is found by the audit, and the row is named.

Every column of every table of the ledger has its edit here: a new column without one fails the first test.
"""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from app.models import ledger, refunds
from app.models.base import Base
from app.services.base.transaction import Sessions
from tests.support.tampering import Intruder, Lively, unguard
from tests.support.wallet_owner import WalletOwner

LATER = "'2026-03-30 00:00:00.000000'"
MINE = "slot = :slot AND book_id = :wallet"
WALLET = "slot = :slot AND id = :wallet"
LOT = "slot = :slot AND account_id = :wallet AND version = 6"
OPEN = "slot = :slot AND id = :open"
REFUSED = "slot = :slot AND id = :refused"
MARK = "slot = :slot AND account_id = :wallet AND number = 3"
FREEZE = "slot = :slot AND id = :freeze"
FOURTH = f"{MINE} AND version = 4"
ELSEWHERE = "slot = :other_slot"
MOVED = "slot = :other_slot, id = id - slot + :other_slot"

Edits = dict[str, tuple[str, str, str]]
"""By column: what is set, in which row, and the row that the audit must name first."""


def _each(where: str, row: str, **changes: str) -> Edits:
    return {column: (change, where, row) for column, change in changes.items()}


EDITS: dict[str, Edits] = {
    "accounts": {
        **_each(WALLET, "transfers {t1}", slot=MOVED, id="id = id + 4096", user_id="user_id = 'eve'"),
        **_each(WALLET, "transfers {t1}", code="code = 'purse'", asset="asset = 'coin2'"),
        **_each(WALLET, "transfers {t1}", environment="environment = 'sandbox'"),
        **_each(WALLET, "accounts {wallet}", frozen="frozen = NOT frozen", balance="balance = balance + 1"),
        **_each(
            WALLET, "accounts {wallet}", held="held = held + 1", floor="floor = -1", version="version = version - 1"
        ),
        **_each(WALLET, "accounts {wallet}", changed_us="changed_us = 1", open_lot="open_lot = 99"),
        **_each(WALLET, "lots {wallet}/3", open_left="open_left = open_left + 1"),
        **_each(WALLET, "accounts {wallet}", open_rank="open_rank = open_rank + 2", open_order="open_order = 2"),
        **_each(WALLET, "lots {wallet}/3", open_version="open_version = open_version + 1"),
        **_each(WALLET, "accounts {wallet}", day="day = day - 1", day_spent="day_spent = day_spent - 1"),
        **_each(WALLET, "accounts {wallet}", month="month = month - 1", month_spent="month_spent = month_spent + 1"),
        **_each(WALLET, "accounts {wallet}", head="head = :bytes", marks="marks = marks - 1"),
        **_each(WALLET, "accounts {wallet}", marks_head="marks_head = :bytes"),
    },
    "transfers": {
        **_each(FOURTH, "transfers {t5}", slot=ELSEWHERE, version="version = 99"),
        **_each(FOURTH, "transfers {other_id}", id="id = :other_id"),
        **_each(FOURTH, "transfers {t4}", debit_id="debit_id = 99", credit_id="credit_id = :issuance"),
        **_each(FOURTH, "? transfers {t4}", book_id="book_id = :journal, version = 77"),
        **_each(FOURTH, "transfers {t4}", amount="amount = amount + 1", balance="balance = balance + 1"),
        **_each(FOURTH, "transfers {t4}", lot="lot = 3", created_at=f"created_at = {LATER}", hash="hash = :bytes"),
        **_each(FOURTH, "transfers {t4}", kind="kind = 'gift'", reference="reference = 'x'", note="note = 'x'"),
        **_each(FOURTH, "transfers {t4}", actor="actor = 'bob'", effective_at="effective_at = '2026-01-01'"),
        **_each(f"{MINE} AND kind = 'reversal'", "transfers {t8}", cause_id="cause_id = :other_id"),
        **_each(FOURTH, "transfers {t4}", uses="uses = NULL"),
    },
    "lots": {
        **_each(LOT, "transfers {t6}", slot=ELSEWHERE, account_id="account_id = :gem", version="version = 500"),
        **_each(LOT, "transfers {t6}", bonus="bonus = NOT bonus", expires_at=f"expires_at = {LATER}"),
        **_each(LOT, "transfers {t6}", payment="payment = 'x'", product="product = 'x'"),
        **_each(LOT, "transfers {t6}", value_minor="value_minor = 1", currency="currency = 'EUR'"),
        **_each(LOT, "lots {wallet}/6", granted="granted = granted + 5", remaining="remaining = remaining + 1"),
        **_each(LOT, "lots {wallet}/6", created_at=f"created_at = {LATER}"),
    },
    "holds": {
        **_each(OPEN, "holds {open}", slot=ELSEWHERE, id="id = :other_id", account_id="account_id = :gem"),
        **_each(OPEN, "holds {open}", amount="amount = amount + 1", captured="captured = 1", released="released = 1"),
        **_each("slot = :slot AND id = :released", "holds {released}", state="state = 'expired'"),
        **_each(OPEN, "holds {open}", expires_at=f"expires_at = {LATER}", reference="reference = 'x'"),
        **_each(OPEN, "holds {open}", note="note = 'x'", actor="actor = 'x'", created_at=f"created_at = {LATER}"),
        **_each(OPEN, "holds {open}", fingerprint="fingerprint = :bytes", limited="limited = NOT limited"),
    },
    "refusals": {
        **_each(REFUSED, "? refusals {refused}", slot=ELSEWHERE, id="id = :other_id", code="code = 'wallet_frozen'"),
        **_each(REFUSED, "refusals {refused}", fingerprint="fingerprint = :bytes", details="details = '{}'"),
        **_each(REFUSED, "refusals {refused}", created_at=f"created_at = {LATER}"),
    },
    "marks": {
        **_each(MARK, "marks {wallet}/4", slot=ELSEWHERE, number="number = 99"),
        **_each(MARK, "? marks {wallet}/4", account_id="account_id = :gem"),
        **_each(MARK, "marks {wallet}/3", kind="kind = 'expired'", subject="subject = :other_id"),
        **_each(MARK, "marks {wallet}/3", amount="amount = amount + 1", at=f"at = {LATER}"),
        **_each(MARK, "marks {wallet}/3", content="content = :bytes", hash="hash = :bytes"),
    },
    "freezes": {
        **_each(FREEZE, "freezes {freeze}", slot=MOVED, id="id = id + 4096", user_id="user_id = 'eve'"),
        **_each(FREEZE, "freezes {freeze}", asset="asset = 'coin'", environment="environment = 'sandbox'"),
        **_each(FREEZE, "freezes {freeze}", frozen="frozen = NOT frozen", reason="reason = 'x'", actor="actor = 'x'"),
        **_each(FREEZE, "freezes {freeze}", refund_id="refund_id = 7", at=f"at = {LATER}"),
        **_each(FREEZE, "freezes {freeze}", request="request = '0123456789abcdef0123456789abcdef'"),
    },
}
COLUMNS = [(table, column) for table, edits in EDITS.items() for column in edits]
MORE_EDITS = {
    "uses of lots that are no pairs": (f"UPDATE transfers SET uses = '[[3]]' WHERE {FOURTH}", "transfers {t4}"),
    "uses of lots that are no list": (f"UPDATE transfers SET uses = '7' WHERE {FOURTH}", "transfers {t4}"),
    "a use of a lot that took a truth": (
        f"UPDATE transfers SET uses = '[[1, 4], [2, true]]' WHERE {FOURTH}",
        "transfers {t4}",
    ),
    "uses of lots in another order": (
        f"UPDATE transfers SET uses = '[[2, 1], [1, 5]]' WHERE {FOURTH}",
        "transfers {t4}",
    ),
    "uses of a transfer that names its lot": (
        f"UPDATE transfers SET uses = '[[1, 1]]' WHERE {MINE} AND version = 5",
        "transfers {t5}",
    ),
    "what remained of the open lot": (
        "UPDATE lots SET remaining = remaining - 1 WHERE slot = :slot AND account_id = :wallet AND version = 3",
        "lots {wallet}/3",
    ),
    "the kind of an account that does not exist": (
        f"UPDATE accounts SET environment = 'nowhere' WHERE {WALLET}",
        "accounts {wallet}",
    ),
    "coins on a system account": (
        "UPDATE accounts SET balance = 5 WHERE slot = :slot AND id = :revenue",
        "accounts {revenue}",
    ),
    "a frozen system account": (
        "UPDATE accounts SET frozen = NOT frozen WHERE slot = :slot AND id = :revenue",
        "accounts {revenue}",
    ),
    "the amount of a payment": (
        "UPDATE transfers SET amount = 1 WHERE slot = :slot AND kind = 'payment'",
        "transfers",
    ),
    "a capture of nothing": (
        f"UPDATE transfers SET cause_id = NULL WHERE {MINE} AND kind = 'capture'",
        "transfers {t7}",
    ),
    "a hold that is let go": (
        f"UPDATE holds SET released = amount, state = 'released' WHERE {OPEN}",
        "holds {open}",
    ),
    "a captured hold that was released instead": (
        "UPDATE holds SET captured = captured - 1, released = released + 1 WHERE slot = :slot AND id = :finished",
        "holds {finished}",
    ),
    "a hold that lasts as long as before, from another time on": (
        "UPDATE holds SET created_at = '2026-03-02 12:00:00.000000', expires_at = '2026-03-09 12:00:00.000000' "
        f"WHERE {OPEN}",
        "holds {open}",
    ),
}
DELETIONS = {
    "accounts, a wallet": (f"accounts WHERE {WALLET}", "transfers {t1}"),
    "accounts, a system account": ("accounts WHERE slot = :slot AND id = :revenue", "transfers {t4}"),
    "transfers, the first": (f"transfers WHERE {MINE} AND version = 1", "transfers {t2}"),
    "transfers, one in the middle": (f"transfers WHERE {FOURTH}", "transfers {t5}"),
    "transfers, the last": (f"transfers WHERE {MINE} AND version = :last", "accounts {wallet}"),
    "transfers, a capture": (f"transfers WHERE {MINE} AND kind = 'capture'", "transfers {t8}"),
    "transfers, a payment": ("transfers WHERE slot = :slot AND kind = 'payment'", "accounts {journal}"),
    "lots": (f"lots WHERE {LOT}", "transfers {t6}"),
    "lots, the open one": (
        "lots WHERE slot = :slot AND account_id = :wallet AND version = 3",
        "transfers {t3}",
    ),
    "holds, an open one": (f"holds WHERE {OPEN}", "holds {open}"),
    "holds, a captured one": ("holds WHERE slot = :slot AND id = :finished", "holds {finished}"),
    "holds, one that was released uncaptured": ("holds WHERE slot = :slot AND id = :released", "holds {released}"),
    "refusals": (f"refusals WHERE {REFUSED}", "refusals {refused}"),
    "marks, one in the middle": (f"marks WHERE {MARK}", "marks {wallet}/4"),
    "marks, the last": (
        "marks WHERE slot = :slot AND account_id = :wallet AND number = :last_mark",
        "accounts {wallet}",
    ),
    "freezes": (f"freezes WHERE {FREEZE}", "freezes {freeze}"),
}
INSERTIONS = {
    "accounts": (WALLET, {"id": "id + 4096", "user_id": "'eve'", "open_lot": "0"}, "accounts"),
    "transfers": (
        f"{MINE} AND version = :last",
        {"id": ":other_id", "version": "version + 1", "amount": "1", "balance": "balance - 1"},
        "transfers {other_id}",
    ),
    "transfers ": ("kind = 'payment'", {"id": ":other_id", "version": "version + 1"}, "transfers {other_id}"),
    "lots": (LOT, {"version": "500"}, "lots {wallet}/500"),
    "lots ": (LOT, {"version": "5"}, "lots {wallet}/5"),
    "holds": (OPEN, {"id": ":other_id"}, "holds {other_id}"),
    "refusals": (REFUSED, {"id": ":other_id"}, "refusals {other_id}"),
    "marks": (MARK, {"number": ":last_mark + 1"}, "marks {wallet}/{next_mark}"),
    "marks ": (MARK, {"account_id": ":revenue"}, "marks {revenue}/3"),
    "freezes": (FREEZE, {"id": "id + 4096", "asset": "'coin'"}, "freezes"),
}


@pytest.fixture(scope="module")
def unguarded(books: Sessions) -> Engine:
    """The engine of someone who got past the triggers."""
    engine: Engine = books.kw["bind"]
    unguard(engine)
    return engine


@pytest.fixture
def lively(owner: WalletOwner) -> Lively:
    return Lively(owner).live()


@pytest.fixture
def intruder(unguarded: Engine, lively: Lively) -> Intruder:
    return Intruder(unguarded, lively)


def _is_named(lively: Lively, intruder: Intruder, row: str) -> None:
    """The first finding in that table names that row. With `?` any: the edit breaks two chains, or none."""
    wanted = row.format(**intruder.values, next_mark=intruder.values["last_mark"] + 1).removeprefix("? ")
    findings = lively.owner.findings()
    assert findings, "nobody noticed"
    named = [finding.partition(":")[0] for finding in findings if finding.split()[0] == wanted.split()[0]]
    if row.startswith("?"):
        assert wanted in named, findings
    else:
        assert named[0].startswith(wanted), findings


def test_every_column_of_every_table_of_the_ledger_has_its_edit() -> None:
    # Seals of grants are proven where the other seals are: test_seals.
    tables = {table for module in (ledger,) for table in _tables_of(module.__name__)} - {"grant_seals"} | {"freezes"}
    assert {table: set(edits) for table, edits in EDITS.items()} == {
        table: {column.name for column in Base.metadata.tables[table].columns} for table in tables
    }


def _tables_of(module: str) -> set[str]:
    return {mapper.local_table.name for mapper in Base.registry.mappers if mapper.class_.__module__ == module}


def test_every_table_has_its_deletion_and_its_insertion() -> None:
    assert refunds.FREEZES.name in EDITS
    assert {name.split(",")[0] for name in DELETIONS} == {name.strip() for name in INSERTIONS} == set(EDITS)


def test_untouched_books_are_clean(lively: Lively) -> None:
    assert lively.owner.findings() == []


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_an_edit_of_a_column_is_found_and_named(table: str, column: str, lively: Lively, intruder: Intruder) -> None:
    change, where, row = EDITS[table][column]
    intruder.run(f"UPDATE {table} SET {change} WHERE {where}")
    _is_named(lively, intruder, row)


@pytest.mark.parametrize("name", MORE_EDITS)
def test_another_edit_is_found_and_named(name: str, lively: Lively, intruder: Intruder) -> None:
    edit, row = MORE_EDITS[name]
    intruder.run(edit)
    _is_named(lively, intruder, row)


@pytest.mark.parametrize("name", DELETIONS)
def test_a_deleted_row_is_found_and_named(name: str, lively: Lively, intruder: Intruder) -> None:
    what, row = DELETIONS[name]
    intruder.run(f"DELETE FROM {what}")
    _is_named(lively, intruder, row)


@pytest.mark.parametrize("name", INSERTIONS)
def test_an_inserted_row_is_found_and_named(name: str, lively: Lively, intruder: Intruder) -> None:
    where, changes, row = INSERTIONS[name]
    intruder.run(intruder.copy(name.strip(), where, changes))
    _is_named(lively, intruder, row)


def test_the_first_bad_row_of_a_chain_is_named(owner: WalletOwner, unguarded: Engine) -> None:
    owner.credit(100)
    spent = [owner.spend(1) for _ in range(5)]
    with unguarded.begin() as connection:
        edit = "/* sweep: audit */ UPDATE transfers SET note = 'x' WHERE slot = :slot AND version IN (3, 5)"
        connection.execute(text(edit), {"slot": owner.slot})
    named = [finding.split()[1].rstrip(":") for finding in owner.findings()]
    assert named == [str(spent[1].id), str(spent[3].id)]
