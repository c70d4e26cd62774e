"""An anchor that is kept elsewhere shows what was taken away or changed, however well the rest was made to fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from app.domain.facts import Kind, Ref
from app.domain.ledger import Posted
from app.domain.money import Money
from app.domain.numbers import slot_of_user
from app.domain.proof.anchors import AnchorHeader, contents, proved_header, signed_lines
from app.domain.refunding import Clawback
from app.domain.seals import Seals
from app.domain.spending import Spend, grant
from app.models.catalogue import Claim
from app.services import ledger
from app.services.audit.anchors import ANCHOR_PAGE, anchor_lines, audit_against
from app.services.audit.ledger import AsOf
from app.services.audit.run import audit
from app.services.base.context import Rules
from app.services.base.idempotency import keyed
from app.services.base.transaction import Sessions
from app.services.facts import claims
from app.services.refunds import requests
from app.services.refunds.requests import Wanted
from app.worker import Worker
from tests.support.database_console import edit
from tests.support.facts import paid_fact, told
from tests.support.world import World, build_world

HEADER = AnchorHeader("2026-01-02T03:04:05+00:00", "https://pay.test")
PURCHASE = ("sandbox", "sandbox", "2000000000001")
AGREEMENT = ("sandbox", "sandbox", "3000000000001")


@dataclass
class Shop:
    """A shop in which all of it has happened: paid, open, refunded in part, parked, granted, spent, claimed."""

    world: World
    engine: Engine

    def __post_init__(self) -> None:
        self.paid, self.open = self.world.order("alice"), self.world.order("bob")
        self.world.pay(self.paid.payments[0].id)
        self.world.deliver()
        self.ask_refund(100)
        self.tell_refund(at=timedelta(hours=2), minor=50)
        nobodys = Ref(ours=str(4096 * 7 + 5), theirs="unheard-of")
        told(self.world, replace(paid_fact(self.world, self.paid.payments[0].id), ref=nobodys, product=None))
        self.give("carol", 5)
        self.give("carol", 7)
        self.give("dave", 9)
        self.give("erin", 3)
        assert not self.spend("erin", 4)
        core = self.world.core
        claims.claim(core, *PURCHASE, "alice")
        claims.claim_agreement(core, *AGREEMENT, "alice", paid_at=core.clock.now())
        self.anchor = self.made_anchor()
        assert self.found() == []

    def ask_refund(self, amount: int) -> int:
        wanted = Wanted(None, self.paid.order.id, amount, "not wanted", None, "backend:shop")
        request = keyed("backend:shop", f"refund {amount}", "refund", {"amount": amount})
        return requests.request(self.world.core, wanted, request)

    def tell_refund(self, at: timedelta, minor: int | None) -> None:
        """The provider tells of a refund that it decided."""
        kind = Kind.REFUND_PENDING if minor is None else Kind.REFUNDED
        fact = paid_fact(self.world, self.paid.payments[0].id, kind=kind, at=self.world.clock.now() + at, owner=None)
        theirs = self.world.payment(self.paid.payments[0].id).theirs
        money = None if minor is None else Money(minor, "CNY")
        told(self.world, replace(fact, ref=replace(fact.ref, theirs=theirs, refund="R-1"), money=money))

    def refunds(self) -> list[Any]:
        query = "/* sweep: operator */ SELECT id, created_at FROM refunds WHERE origin = 'provider'"
        with self.engine.connect() as connection:
            return list(connection.exec_driver_sql(query))

    def give(self, user: str, amount: int) -> None:
        coins = grant(user, "coin", amount, f"gift {amount}", reason="sorry", actor="ann", environment="sandbox")
        self.post(user, coins)

    def post(self, user: str, wanted: Any) -> None:
        core = self.world.core
        core.whole.transact(lambda tx: ledger.post(tx, slot_of_user(user), [wanted]))

    def spend(self, user: str, amount: int) -> bool:
        """Whether the coins were there."""
        core, wanted = self.world.core, Spend(user, "coin", amount, f"sword {amount}", environment="sandbox")
        done = core.whole.transact(lambda tx: ledger.spend(tx, slot_of_user(user), wanted))
        return isinstance(done, Posted)

    def made_anchor(self) -> list[bytes]:
        return list(signed_lines(HEADER, anchor_lines(self.world.core.whole.sessions), Seals()))

    def found(self) -> list[str]:
        assert proved_header(self.anchor, Seals()) == HEADER
        findings = audit_against(self.world.core.whole.sessions, contents(self.anchor))
        return [f"{finding.what}: {finding.detail}" for finding in findings]

    def audit(self) -> list[str]:
        """What the audit finds that has no anchor."""
        core = self.world.core
        return [found.what for found in audit(core.whole.sessions, AsOf(core.rules.ledger, core.clock.now))]

    def forget_wallet(self, user: str) -> None:
        """Take a user's wallet away with all that is in it."""
        mine = f"FROM accounts a WHERE a.user_id = '{user}'"
        book = f"(SELECT a.id {mine})"
        edit(
            self.engine,
            f"DELETE FROM grant_seals WHERE transfer_id IN (SELECT t.id FROM transfers t WHERE t.book_id IN {book})",
            f"DELETE FROM lots WHERE account_id IN {book}",
            f"DELETE FROM transfers WHERE book_id IN {book}",
            f"DELETE FROM accounts WHERE user_id = '{user}'",
        )


@pytest.fixture
def shop(engine: Engine, sessions: Sessions) -> Shop:
    return Shop(build_world(engine, sessions, Rules(clawback=Clawback.DEBT)), engine)


def slot(user: str) -> str:
    return f"slot {slot_of_user(user)}, "


@pytest.mark.one_database
def test_a_grant_that_was_taken_out_of_a_chain_built_anew_is_missed(shop: Shop) -> None:
    number = account_of(shop, "carol")
    shop.forget_wallet("carol")
    shop.give("carol", 7)
    renumber(shop, "carol", number)
    assert shop.audit() == []
    (found,) = shop.found()
    assert found.startswith(f"anchored_gone: {slot('carol')}posting 2 of account {number} of user carol (")
    assert "which left 12: the book is shorter now" in found


@pytest.mark.one_database
def test_a_posting_that_was_put_in_the_place_of_another_is_found(shop: Shop) -> None:
    number = account_of(shop, "carol")
    shop.forget_wallet("carol")
    shop.give("carol", 7)
    shop.give("carol", 6)
    renumber(shop, "carol", number)
    assert shop.audit() == []
    (found,) = shop.found()
    assert f"posting 2 of account {number} of user carol" in found
    assert "now there stands a grant of 6 that leaves 13" in found


def test_a_user_whose_grants_are_all_deleted_is_missed_by_name_and_amount(shop: Shop) -> None:
    shop.forget_wallet("dave")
    assert shop.audit() == []
    (found,) = shop.found()
    assert found.startswith(f"anchored_gone: {slot('dave')}account ")
    assert "of user dave (" in found
    assert "1 postings and a balance of 9" in found


@pytest.mark.one_database
def test_a_mark_that_was_taken_away_is_missed(shop: Shop) -> None:
    number = account_of(shop, "erin")
    edit(
        shop.engine,
        f"DELETE FROM refusals WHERE id IN (SELECT m.subject FROM marks m WHERE m.account_id = {number})",
        f"DELETE FROM marks WHERE account_id = {number}",
        f"UPDATE accounts SET marks = 0, marks_head = NULL WHERE id = {number}",
    )
    assert shop.audit() == []
    (found,) = shop.found()
    assert found.startswith(f"anchored_gone: {slot('erin')}mark 1 of account {number} of user erin")


def account_of(shop: Shop, user: str) -> int:
    with shop.engine.connect() as connection:
        query = f"/* sweep: operator */ SELECT id FROM accounts WHERE user_id = '{user}'"
        return int(connection.exec_driver_sql(query).scalar_one())


def renumber(shop: Shop, user: str, number: int) -> None:
    """Give the wallet that was made anew the number that the old one had."""
    made = account_of(shop, user)
    edit(
        shop.engine,
        f"UPDATE accounts SET id = {number} WHERE id = {made}",
        f"UPDATE lots SET account_id = {number} WHERE account_id = {made}",
        f"UPDATE transfers SET book_id = {number}, credit_id = {number} WHERE book_id = {made}",
    )


LATER = "2026-01-02 03:04:06+00:00"
PARKED = "outcome = 'parked'"
EDITS = {
    "the grants of an order": ("UPDATE orders SET grants = '[]' WHERE status = 'open'", "changed", "bob"),
    "the price of an order": ("UPDATE orders SET amount_minor = 1 WHERE status = 'open'", "changed", "6.00 CNY"),
    "whose order it is": ("UPDATE orders SET user_id = 'alice' WHERE user_id = 'bob'", "changed", "bob"),
    "the time of an order": (f"UPDATE orders SET created_at = '{LATER}' WHERE status = 'open'", "changed", "bob"),
    "an order's end": (f"UPDATE orders SET expires_at = '{LATER}' WHERE status = 'open'", "changed", "bob"),
    "a deleted order": ("DELETE FROM orders WHERE status = 'open'", "gone", "6.00 CNY, user bob"),
    "the time of a fact": (f"UPDATE facts SET at = '{LATER}' WHERE {PARKED}", "changed", "unheard-of"),
    "when a fact came": (f"UPDATE facts SET recorded_at = '{LATER}' WHERE {PARKED}", "changed", "unheard-of"),
    "a fact's road": (f"UPDATE facts SET road = 'query' WHERE {PARKED}", "changed", "unheard-of"),
    "a fact's key": (f"UPDATE facts SET key = 'paid:x' WHERE {PARKED}", "changed", "unheard-of"),
    "the provider's words": ("""UPDATE facts SET raw = '{"x": 1}' WHERE kind = 'paid'""", "changed", "6.00 CNY"),
    "a deleted parked fact": (f"DELETE FROM facts WHERE {PARKED}", "gone", "paid unheard-of of sandbox, 6.00 CNY"),
    "a refund's amount": (
        "UPDATE refunds SET amount_minor = 1 WHERE origin = 'asked'",
        "changed",
        "1.00 CNY, user alice); now it is of payment",
    ),
    "a refund's time": (
        f"UPDATE refunds SET created_at = '{LATER}' WHERE origin = 'asked'",
        "changed",
        "1.00 CNY, user alice",
    ),
    "a deleted refund": ("DELETE FROM refunds WHERE origin = 'asked'", "gone", "1.00 CNY, user alice"),
    "a deleted refund that the provider decided": (
        "DELETE FROM refunds WHERE origin = 'provider'",
        "gone",
        "50 CNY, user alice",
    ),
    "a claim's owner": (
        f"UPDATE claims SET user_id = 'mallory' WHERE reference = '{PURCHASE[2]}'",
        "claim",
        "belonged to user alice, and now user mallory has claimed it",
    ),
    "a deleted claim": (f"DELETE FROM claims WHERE reference = '{PURCHASE[2]}'", "claim", "nobody has claimed it"),
}


@pytest.mark.parametrize(("statement", "how", "names"), EDITS.values(), ids=EDITS)
def test_an_edit_is_found_and_named(shop: Shop, statement: str, how: str, names: str) -> None:
    edit(shop.engine, statement)
    found = shop.found()
    assert found
    assert all(line.startswith(f"anchored_{how}: ") for line in found)
    assert names in found[0]


def test_what_a_fact_said_is_anchored_though_more_may_be_added(shop: Shop) -> None:
    replaced = "REPLACE(CAST(content AS text), '600', '599')"
    as_json = f"CAST({replaced} AS jsonb)" if shop.engine.dialect.name == "postgresql" else replaced
    edit(shop.engine, f"UPDATE facts SET content = {as_json} WHERE {PARKED}")
    (found,) = shop.found()
    assert (
        "6.00 CNY); now it is paid unheard-of of sandbox, 5.99 CNY; see `tillbook facts list --theirs unheard-of`"
        in found
    )


@pytest.mark.one_database
def test_all_rows_of_a_slot_that_were_deleted_are_missed(shop: Shop) -> None:
    edit(shop.engine, *(f"DELETE FROM {table}" for table in ("orders", "facts", "refunds", "accounts", "transfers")))
    found = shop.found()
    assert sum(" account " in line for line in found) == sum(len(part.accounts) for part in slots_of(shop.anchor))
    assert sum("order " in line for line in found) >= 2


def slots_of(anchor: list[bytes]) -> list[Any]:
    return [part for part in contents(anchor) if not isinstance(part, list)]


def test_ordinary_life_gives_no_finding(shop: Shop) -> None:
    world, core = shop.world, shop.world.core
    world.pay(shop.open.payments[0].id)
    world.deliver()
    Worker(core).run_once()
    nobodys = Ref(ours=str(4096 * 7 + 5), theirs="unheard-of")
    completing = replace(paid_fact(world, shop.paid.payments[0].id), ref=nobodys, product="coins-60")
    told(world, completing)
    shop.ask_refund(50)
    before = shop.refunds()
    shop.tell_refund(at=timedelta(hours=1), minor=None)
    assert [row.id for row in shop.refunds()] == [row.id for row in before]
    assert shop.refunds() != before
    claims.move_agreement(core, *AGREEMENT, "bob", paid_at=core.clock.now() + timedelta(days=1))
    assert shop.spend("carol", 6)
    assert not shop.spend("erin", 5)
    for day in range(4):
        world.order(f"user-{day}", key=f"of-{day}")
        world.clock.advance(40 * 86_400)
        Worker(core).run_once()
    assert shop.audit() == []
    edit(shop.engine, "DELETE FROM idempotency WHERE caller LIKE 'user:bob%'")
    assert shop.found() == []
    assert shop.made_anchor() != shop.anchor


def test_more_claims_than_one_statement_asks_for_are_all_compared(shop: Shop) -> None:
    names = [f"purchase-{number:04}" for number in range(ANCHOR_PAGE + 2)]
    rows = [
        {
            "cslot": claims.slot_of_claim("store", "live", name),
            "provider_account": "store",
            "environment": "live",
            "reference": name,
            "slot": slot_of_user("alice"),
            "user_id": "alice",
            "claimed_at": shop.world.clock.now(),
        }
        for name in names
    ]
    with shop.engine.begin() as connection:
        connection.execute(insert(Claim), rows)
    shop.anchor = shop.made_anchor()
    assert shop.found() == []
    edit(shop.engine, "DELETE FROM claims WHERE provider_account = 'store'")
    found = shop.found()
    assert sorted(line.split()[2] for line in found) == names


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # other databases refuse what is no time
def test_a_time_that_is_none_is_a_finding_of_its_slot(shop: Shop) -> None:
    edit(shop.engine, "UPDATE orders SET created_at = 'yesterday' WHERE status = 'open'")
    (found,) = shop.found()
    assert found.startswith(f"anchored_changed: {slot('bob')}a row in it cannot be read")
