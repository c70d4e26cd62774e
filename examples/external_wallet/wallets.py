"""Wallets on a store without transactions: each wish of Tillbook changes a balance once, whoever is killed when.

Two documents take part. The user's has the balances and the marks of wishes that were applied to them: one conditional
change writes both, so a mark is there exactly if its wish has been applied. The order's log says how far its last wish
has come, so that whoever meets it again goes on from there. README.md tells the whole recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Protocol

from examples.external_wallet.documents import Document, Store

MOST_MARKS = 16
"""Wishes of one user that are applied and not done yet. Those are finished before another is applied, so that the list
in the user's document stays short."""
WISHES = ("fulfilment.ordered", "fulfilment.take_back")
Balances = dict[str, int]


class Step(IntEnum):
    """How far the last wish about an order has come. Each step is written after what it says was done."""

    NOTED = 0
    """The wish, and what the user has of the order before it, are in the log: from here on it will be finished."""
    DECIDED = 1
    """Whether it is delivered or refused is in the log, and will not be decided otherwise."""
    APPLIED = 2
    """The user's document has the new balance, and the mark of the wish."""
    ANSWERED = 3
    """Tillbook knows the answer."""
    UNMARKED = 4
    """The mark is out of the user's document: the log alone says that the wish is done."""
    DONE = 5
    """What the user has of the order is in the log. The next wish may come."""


class Tillbook(Protocol):
    """What the wallets need of Tillbook."""

    def answer(self, order: str, revision: int, status: str) -> None:
        """Say what became of a wish. Raises an error unless Tillbook has taken the answer."""


class Wallets:
    """`accepts` decides whether a user may get what is to be delivered; it is asked once for each order."""

    def __init__(self, store: Store, tillbook: Tillbook, accepts: Any = lambda user, units: True) -> None:
        self._store = store
        self._tillbook = tillbook
        self._accepts = accepts

    def handle(self, event: Mapping[str, Any]) -> None:
        """Take in an event, in whatever order and however often it comes; other types change nothing. When this comes
        back the wish is done; an error, or death, leaves it to whoever meets it next."""
        if event["type"] not in WISHES or event["cause"]["by"] == "test":  # `tillbook events trigger` sends examples
            return
        wish = event["data"]["fulfilment"]
        while True:
            log = self._store.read(log_key(wish["order"]))
            if log.version and log.body["step"] < Step.DONE:
                self._go_on(log)
            elif log.version and log.body["revision"] >= wish["revision"]:
                return
            else:
                self._note(log, wish)

    def balances(self, user: str) -> Balances:
        return dict(self._store.read(user_key(user)).body.get("balances", {}))

    def spend(self, user: str, asset: str, amount: int) -> bool:
        """Take coins out of a wallet: what the app itself does with this store. False if there are too few."""
        while True:
            document = self._store.read(user_key(user))
            balances = dict(document.body.get("balances", {}))
            if balances.get(asset, 0) < amount:
                return False
            balances[asset] -= amount
            if self._store.replace(document, {**document.body, "balances": balances}):
                return True

    def _note(self, log: Document, wish: Mapping[str, Any]) -> None:
        units: Balances = {}
        for unit in wish["units"]:
            units[unit["asset"]] = units.get(unit["asset"], 0) + unit["due"]
        noted = {
            "order": wish["order"],
            "user": wish["user"],
            "revision": wish["revision"],
            "asks": "take_back" if wish["asks"] == "take_back" else "delivery",
            "step": Step.NOTED,
            "units": units,
            "has": log.body.get("has", {}),
            "answer": log.body.get("answer", ""),
        }
        self._store.replace(log, noted)  # if somebody else has noted a wish: read it, and go on with that one

    def _go_on(self, log: Document) -> None:
        """One step. Where another process was faster nothing is written, and the next look finds its step."""
        body = log.body
        match Step(body["step"]):
            case Step.NOTED:
                self._store.replace(log, {**body, **self._decision(body), "step": Step.DECIDED})
            case Step.DECIDED:
                if self._apply(log):
                    self._store.replace(log, {**body, "step": Step.APPLIED})
            case Step.APPLIED:
                self._tillbook.answer(body["order"], body["revision"], body["answer"])
                self._store.replace(log, {**body, "step": Step.ANSWERED})
            case Step.ANSWERED:
                if self._unmark(body):
                    self._store.replace(log, {**body, "step": Step.UNMARKED})
            case Step.UNMARKED:
                self._store.replace(log, {**body, "has": body["units"], "step": Step.DONE})

    def _decision(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, and what the user is to have of the order then."""
        if body["asks"] == "take_back":
            was_refused = body["answer"] == "refused"  # nothing was delivered: nothing is to be there
            return {"answer": "taken_back", "units": body["has"] if was_refused else body["units"]}
        if not body["has"] and not self._accepts(body["user"], body["units"]):
            return {"answer": "refused", "units": {}}
        return {"answer": "delivered"}

    def _apply(self, log: Document) -> bool:
        """Bring the balance to what the wish says, and mark it, in one change. True if the mark is there.

        The user's document is read before the log is looked at once more. The mark goes away only after the log has
        said ANSWERED. So if the log still says DECIDED and there was no mark, the wish was not applied when the user's
        document was read; and if it is applied after that, the document has another version and the change fails.
        """
        body, mark = log.body, mark_of(log.body)
        user = self._store.read(user_key(body["user"]))
        marks: list[str] = user.body.get("marks", [])
        if mark in marks:
            return True
        if self._store.read(log.key).version != log.version:
            return False
        if len(marks) >= MOST_MARKS:
            for each in marks:
                self._finish(each)
            return False
        balances = dict(user.body.get("balances", {}))
        for asset in {*body["units"], *body["has"]}:
            more = body["units"].get(asset, 0) - body["has"].get(asset, 0)
            balances[asset] = balances.get(asset, 0) + more  # below zero: spent already, and owed from now on
        return self._store.replace(user, {**user.body, "balances": balances, "marks": [*marks, mark]})

    def _unmark(self, body: Mapping[str, Any]) -> bool:
        """Take the mark out. True if it is gone."""
        user, mark = self._store.read(user_key(body["user"])), mark_of(body)
        marks = user.body["marks"]
        left = [each for each in marks if each != mark]
        return left == marks or self._store.replace(user, {**user.body, "marks": left})

    def _finish(self, mark: str) -> None:
        """Bring another order's wish, which is applied, to its end."""
        order, _, revision = mark.partition(":")
        while True:
            log = self._store.read(log_key(order))
            if log.body["revision"] != int(revision) or log.body["step"] == Step.DONE:
                return
            self._go_on(log)


def user_key(user: str) -> str:
    return f"user/{user}"


def log_key(order: str) -> str:
    return f"log/{order}"


def mark_of(body: Mapping[str, Any]) -> str:
    return f"{body['order']}:{body['revision']}"
