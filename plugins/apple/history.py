"""`scan`: what was missed. Apple keeps every notification for months and every customer's transactions for ever.

    notifications            every notification of the app in the window
    failed_notifications     those that did not reach us, or are being tried again
    refunds                  the REFUND notifications of the window: all refunds of the app
    transactions/<id>        all transactions of the customer who made transaction <id>
    refunds/<id>             all refunds of that customer (whatever the window)

The last two are for one customer, so they are not among `feeds`, which the worker sweeps on its own. The cursor is
`<environment>|<Apple's token>`; one scan goes through the accepted environments in their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.providers import Clock, Declined, Fact, Page, Unknown
from plugins.apple.app_receipts import is_id
from plugins.apple.notifications import facts_of_notification, questions_of_notification, read_notification
from plugins.apple.questions import Questions, next_revision
from plugins.apple.server_api import NotKnown, Params, ServerApi
from plugins.apple.settings import Environment
from plugins.apple.signed_data import Reason, Refused, SignedData

FEEDS = ("failed_notifications", "notifications", "refunds")
# Documented: 180 days, sandbox 30. Refused with 4000012 at 170 (seen 2025), hence the distance.
KEPT: Mapping[Environment, timedelta] = {"Production": timedelta(days=150), "Sandbox": timedelta(days=29)}

_log = structlog.get_logger(__name__)


class History:
    """Pages through Apple's records of one app."""

    def __init__(
        self, api: ServerApi, questions: Questions, signed_data: SignedData, clock: Clock, *, grant_free_trials: bool
    ) -> None:
        self._api = api
        self._questions = questions
        self._signed_data = signed_data
        self._clock = clock
        self._grant_free_trials = grant_free_trials

    def page(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        """One page of one environment. Raises Declined for a feed that does not exist."""
        environment, token = self._position(cursor)
        try:
            facts, token = self._read(environment, feed, since, until, token)
        except NotKnown:
            facts, token = (), ""
        return Page(facts, self._next(environment, token))

    def _read(
        self, environment: Environment, feed: str, since: datetime, until: datetime, token: str
    ) -> tuple[tuple[Fact, ...], str]:
        name, _, number = feed.partition("/")
        if feed in FEEDS:
            return self._notifications(environment, feed, since, until, token)
        if is_id(number) and name in ("transactions", "refunds"):
            return self._customer(environment, name, number, since, until, token)
        raise Declined(f"there is no feed {feed!r}")

    def _position(self, cursor: str | None) -> tuple[Environment, str]:
        environments = self._signed_data.app.environments
        if cursor is None:
            return environments[0], ""
        name, _, token = cursor.partition("|")
        for environment in environments:
            if environment == name:
                return environment, token
        raise Declined("not a cursor of this account")

    def _next(self, environment: Environment, token: str) -> str | None:
        if token:
            return f"{environment}|{token}"
        environments = self._signed_data.app.environments
        later = environments[environments.index(environment) + 1 :]
        return f"{later[0]}|" if later else None

    def _notifications(
        self, environment: Environment, feed: str, since: datetime, until: datetime, token: str
    ) -> tuple[tuple[Fact, ...], str]:
        since = max(since, self._clock.now() - KEPT[environment])
        if since >= until:
            return (), ""
        wanted: dict[str, Any] = {"startDate": _milliseconds(since), "endDate": _milliseconds(until)}
        if feed == "failed_notifications":
            wanted["onlyFailures"] = True
        if feed == "refunds":
            wanted["notificationType"] = "REFUND"
        answer = self._api.notifications(environment, wanted, token)
        items = answer.get("notificationHistory", [] if answer.get("hasMore") is False else None)
        if not isinstance(items, list):
            raise Unknown("an answer without notificationHistory")
        facts = tuple(fact for item in items for fact in self._facts_of_record(item))
        following = answer.get("paginationToken")
        return facts, following if answer.get("hasMore") is True and isinstance(following, str) else ""

    def _facts_of_record(self, item: object) -> tuple[Fact, ...]:
        """A record that is genuine but of no use here (another environment on the same app, a container of tomorrow)
        must not stop the sweep for ever; one that Apple did not sign means that the answer is not to be believed."""
        text = item.get("signedPayload") if isinstance(item, dict) else None
        if not isinstance(text, str):
            raise Unknown("a record without signedPayload")
        try:
            notification = read_notification(text, self._signed_data)
            stated = facts_of_notification(notification, grant_free_trials=self._grant_free_trials)
        except Refused as error:
            if error.reason in (Reason.FORM, Reason.SIGNATURE):
                raise Unknown(f"an answer that cannot be believed: {error}", code=error.reason) from None
            _log.warning("notification_record_skipped", reason=error.reason, why=str(error))
            return ()
        asked = (self._questions.payment(ref.theirs or "") for ref in questions_of_notification(notification))
        return (*stated, *(fact for facts in asked for fact in facts))

    def _customer(
        self, environment: Environment, name: str, number: str, since: datetime, until: datetime, token: str
    ) -> tuple[tuple[Fact, ...], str]:
        params: Params = [("revision", token)] if token else []
        if name == "refunds":
            answer = self._api.refunds(environment, number, params)
        else:
            window = [("startDate", str(_milliseconds(since))), ("endDate", str(_milliseconds(until)))]
            answer = self._api.history(environment, number, [*window, *params])
        found = self._questions.transactions_on(answer.get("signedTransactions"), environment)
        # The period that replaced an upgraded one may be on another page.
        facts = tuple(
            fact
            for one, raw in found
            for fact in (self._questions.settled(one, raw) if one.is_upgraded else self._questions.facts_of(one, raw))
        )
        return facts, next_revision(answer)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000
