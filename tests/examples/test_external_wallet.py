"""The example of wallets on a store without transactions: killed between any two steps, overtaken at any step, told
again and again, it ends with what was delivered."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.domain.fulfilment import RefusedFulfilment
from app.providers.facts import Kind
from app.services.events import feed as event_feed
from examples.external_wallet.documents import BODY, Document, SqliteStore, Store
from examples.external_wallet.follower import follow, pushed
from examples.external_wallet.wallets import MOST_MARKS, WISHES, Wallets, user_key
from tests.support.backend_wallets import ExternalBuyer, sell_externally
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client
from tests.support.world import World

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Killed(BaseException):
    """The process ends here: nothing that is only in its memory goes on."""


class MemoryStore:
    """Documents in memory, which outlive the process that is killed."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, str]] = {}

    def read(self, key: str) -> Document:
        version, text = self._kept.get(key, (0, "{}"))
        return Document(key, version, json.loads(text))

    def replace(self, document: Document, body: BODY) -> bool:
        if self._kept.get(document.key, (0, ""))[0] != document.version:
            return False
        self._kept[document.key] = document.version + 1, json.dumps(body)
        return True


class Paced:
    """Calls `interrupt` at a chosen step. A step is the moment before or after something is done outside of the
    process: a document is read or written, Tillbook is asked."""

    def __init__(self, inner: Any, pace: Pace) -> None:
        self._inner, self._pace = inner, pace

    def __getattr__(self, name: str) -> Any:
        def paced(*arguments: Any) -> Any:
            self._pace.step()
            answer = getattr(self._inner, name)(*arguments)
            self._pace.step()
            return answer

        return paced


@dataclass
class Pace:
    interrupt: Callable[[], object] = lambda: None
    at: int = 0
    steps: int = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            self.interrupt()


@dataclass
class TillbookOfTheTest:
    """A feed of wishes, and the answers that came."""

    feed: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[tuple[str, int], str] = field(default_factory=dict)

    def events(self, after: str | None) -> tuple[list[dict[str, Any]], str]:
        start = int(after or 0)
        page = self.feed[start : start + 3]
        return page, str(start + len(page))

    def answer(self, order: str, revision: int, status: str) -> None:
        assert self.answers.setdefault((order, revision), status) == status, "one wish, two answers"

    def wish(self, order: str, revision: int, due: int, asks: str = "delivery", user: str = "alice") -> None:
        kind = {"delivery": "fulfilment.ordered", "take_back": "fulfilment.take_back"}[asks]
        units = [{"asset": "coin", "due": due}, {"asset": "coin", "due": due // 10}]
        shown = {"order": order, "user": user, "revision": revision, "asks": asks, "units": units}
        self.feed.append({"type": kind, "data": {"fulfilment": shown}, "cause": {"by": "fact"}})


def story() -> TillbookOfTheTest:
    """Two users; orders that are delivered, refused, taken back in two steps, and given once more; each wish twice."""
    tillbook = TillbookOfTheTest()
    for order, revision, due, asks, user in (
        ("1", 1, 60, "delivery", "alice"),
        ("2", 1, 30, "delivery", "bob"),
        ("1", 2, 30, "take_back", "alice"),
        ("3", 1, 10, "delivery", "carol"),
        ("1", 3, 0, "take_back", "alice"),
        ("3", 2, 0, "take_back", "carol"),
        ("4", 1, 20, "delivery", "alice"),
        ("1", 4, 60, "delivery", "alice"),
    ):
        tillbook.wish(order, revision, due, asks, user)
        tillbook.feed.append(tillbook.feed[-1])
    return tillbook


ENDS = {"alice": {"coin": 66 + 22}, "bob": {"coin": 33}, "carol": {}}
ANSWERS = {
    ("1", 1): "delivered",
    ("1", 2): "taken_back",
    ("1", 3): "taken_back",
    ("1", 4): "delivered",
    ("2", 1): "delivered",
    ("3", 1): "refused",
    ("3", 2): "taken_back",
    ("4", 1): "delivered",
}


def run(store: Store, tillbook: TillbookOfTheTest, pace: Pace | None = None) -> None:
    """A process that follows the feed to its end."""
    slow = pace or Pace()
    paced, asked = Paced(store, slow), Paced(tillbook, slow)
    wallets = Wallets(paced, asked, lambda user, units: user != "carol")
    while follow(paced, asked, wallets):
        pass


def assert_ended(store: Store, tillbook: TillbookOfTheTest) -> None:
    wallets = Wallets(store, tillbook)
    assert {user: wallets.balances(user) for user in ENDS} == ENDS
    assert tillbook.answers == ANSWERS
    assert all(store.read(user_key(user)).body.get("marks", []) == [] for user in ENDS)


def steps_of_a_run() -> int:
    pace = Pace()
    run(MemoryStore(), story(), pace)
    return pace.steps


def _die() -> None:
    raise Killed


def test_killed_at_any_step_it_goes_on_from_its_log() -> None:
    for at in range(1, steps_of_a_run() + 1):
        store, tillbook = MemoryStore(), story()
        with pytest.raises(Killed):
            run(store, tillbook, Pace(_die, at))
        run(store, tillbook)
        assert_ended(store, tillbook)


def test_killed_again_and_again_it_comes_to_the_end() -> None:
    chance = random.Random(1)
    for _ in range(50):
        store, tillbook = MemoryStore(), story()
        for _ in range(20):
            try:
                run(store, tillbook, Pace(_die, chance.randint(1, 60)))
            except Killed:
                continue
            break
        run(store, tillbook)
        assert_ended(store, tillbook)


def test_a_process_that_sleeps_at_any_step_while_others_do_all_of_its_work_changes_nothing_more() -> None:
    for at in range(1, steps_of_a_run() + 1):
        store, tillbook = MemoryStore(), story()
        run(store, tillbook, Pace(partial(run, store, tillbook), at))
        assert_ended(store, tillbook)


def test_events_of_different_users_may_come_in_any_order_and_any_number_of_times() -> None:
    chance = random.Random(2)
    for _ in range(50):
        tillbook, of_user = story(), dict[str, list[Any]]()
        for event in tillbook.feed:
            of_user.setdefault(event["data"]["fulfilment"]["user"], []).append(event)
        store, given = MemoryStore(), list[Any]()
        wallets = Wallets(store, tillbook, lambda user, units: user != "carol")
        while of_user:
            user = chance.choice(sorted(of_user))
            given.append(of_user[user].pop(0))
            if not of_user[user]:
                del of_user[user]
            wallets.handle(given[-1])
            wallets.handle(chance.choice(given))
        assert_ended(store, tillbook)


def _spend_five(game: Wallets, before: list[dict[str, int]]) -> None:
    before.append(game.balances("alice"))
    game.spend("alice", "coin", 5)


def test_what_the_app_spends_meanwhile_is_not_lost_and_what_is_spent_is_owed() -> None:
    for at in range(1, steps_of_a_run() + 1):
        store, tillbook = MemoryStore(), story()
        game, before = Wallets(store, tillbook), list[dict[str, int]]()
        run(store, tillbook, Pace(partial(_spend_five, game, before), at))
        spent = 5 if before and before[0].get("coin", 0) >= 5 else 0
        assert game.balances("alice") == {"coin": 88 - spent}
    assert not game.spend("alice", "coin", 1000)
    tillbook.wish("4", 2, 0, "take_back")
    game.spend("alice", "coin", game.balances("alice")["coin"])
    run(store, tillbook)
    assert game.balances("alice") == {"coin": -22}


def test_the_marks_in_a_users_document_stay_few_however_many_wishes_lie_half_done() -> None:
    store, tillbook = MemoryStore(), TillbookOfTheTest()
    longest = 0
    for order in range(1, 2 * MOST_MARKS + 1):
        tillbook.wish(str(order), 1, 10)
        dying = Wallets(store, Paced(tillbook, Pace(_die, 1)))  # it dies with each wish applied and not answered
        with pytest.raises(Killed):
            dying.handle(tillbook.feed[-1])
        longest = max(longest, len(store.read(user_key("alice")).body.get("marks", [])))
        if longest == MOST_MARKS:
            break
    assert longest == MOST_MARKS
    tillbook.wish("100", 1, 10)
    run(store, tillbook)
    assert Wallets(store, tillbook).balances("alice") == {"coin": 11 * (MOST_MARKS + 1)}
    assert store.read(user_key("alice")).body["marks"] == []


def test_rows_of_sqlite_that_are_changed_one_by_one_are_such_a_store(tmp_path: Path) -> None:
    store, tillbook = SqliteStore(str(tmp_path / "wallets.sqlite3")), story()
    first, second = store.read("k"), store.read("k")
    assert (store.replace(first, {"n": 1}), store.replace(second, {"n": 2})) == (True, False)
    assert store.replace(store.read("k"), {"n": 3})
    assert not store.replace(Document("k", 1, {}), {"n": 4})
    assert store.read("k") == Document("k", 2, {"n": 3})
    for at in (7, 23, 40, 61):
        with pytest.raises(Killed):
            run(store, tillbook, Pace(_die, at))
    run(store, tillbook)
    assert_ended(store, tillbook)


def test_a_pushed_message_must_be_genuine_and_an_example_delivers_nothing() -> None:
    store, tillbook, now = MemoryStore(), TillbookOfTheTest(), datetime.now(UTC)
    wallets = Wallets(store, tillbook)
    tillbook.wish("1", 1, 60)
    for cause, coins in (("test", {}), ("fact", {"coin": 66})):
        body = json.dumps({**tillbook.feed[0], "cause": {"by": cause}})
        headers = {
            "Webhook-Id": "m1",
            "Webhook-Timestamp": str(int(now.timestamp())),
            "Webhook-Signature": Webhook(SECRET).sign("m1", now, body),
        }
        with pytest.raises(WebhookVerificationError):
            pushed(wallets, SECRET, headers, body.replace("60", "99").encode())
        pushed(wallets, SECRET, headers, body.encode())
        assert wallets.balances("alice") == coins


class RealTillbook:
    """The service, asked in process as `TillbookApi` asks it over HTTP."""

    def __init__(self, world: World, client: ApiClient) -> None:
        self._world, self._client = world, client

    def events(self, after: str | None) -> tuple[list[dict[str, Any]], str]:
        event_feed.place_events(self._world.core)
        query = {"types": ",".join(WISHES), **({"after": after} if after else {})}
        page = self._client.get("/v1/events", **query).get_json()
        return page["events"], page["next"]

    def answer(self, order: str, revision: int, status: str) -> None:
        body = {"revision": revision, "status": status}
        key = f"{order}:{revision}:{status}"
        answer = self._client.post(f"/v1/orders/{order}/fulfilment", body, key=key)
        assert answer.status_code == 200, answer.text


def test_with_the_real_service_the_balances_are_what_is_due(world: World, engine: Engine) -> None:
    selling = sell_externally(world).with_rules(replace(world.core.rules, refused_fulfilment=RefusedFulfilment.REFUND))
    tillbook = RealTillbook(selling, ApiClient(build_client(selling, engine), BACKEND_KEY))
    store = MemoryStore()
    ann, bob, cem = (ExternalBuyer(selling) for _ in range(3))

    def work() -> None:
        for at in (5, 9, 14, 22, 31, 0):
            pace = Pace(_die, at)
            paced, asked = Paced(store, pace), Paced(tillbook, pace)
            wallets = Wallets(paced, asked, lambda user, units: user != cem.user)
            try:
                while follow(paced, asked, wallets):
                    pass
            except Killed:
                continue

    for buyer in (ann, bob, cem):
        buyer.pay()
    work()
    bob.tell(bob.fact(Kind.REFUNDED, 1, refund="r1", money=300))
    work()
    ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    ann.tell(ann.fact(Kind.REFUND_UNDONE, 2, refund="r1"))
    for refund in cem.refunds():
        cem.work(refund.id)
    work()
    wallets = Wallets(store, tillbook)
    assert [wallets.balances(buyer.user).get("coin", 0) for buyer in (ann, bob, cem)] == [66, 33, 0]
    assert [sum(buyer.due) for buyer in (ann, bob, cem)] == [66, 33, 0]
    assert [buyer.status for buyer in (ann, bob, cem)] == ["delivered", "taken_back", "refused"]
    assert [buyer.row.next_tell_at for buyer in (ann, bob, cem)] == [None] * 3
    ann.assert_balanced()
