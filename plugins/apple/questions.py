"""Active queries: what the App Store Server API says about one purchase, refund or subscription, verified."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import structlog

from app.providers import Fact, Kind, Unknown
from app.providers.facts import REFUND_KINDS
from plugins.apple.app_receipts import is_id
from plugins.apple.server_api import NotKnown, Params, ServerApi
from plugins.apple.settings import Environment
from plugins.apple.signed_data import Reason, Refused, SignedData
from plugins.apple.standings import Renewal, renewal_of, standing
from plugins.apple.transactions import (
    SUBSCRIPTION,
    Transaction,
    facts_of,
    read_transaction,
    refunds_of_upgraded,
)

MOST_PAGES = 10
"""200 transactions of one customer, newest first, in search of one subscription period."""
_log = structlog.get_logger(__name__)


class Questions:
    """Asks, and believes only what Apple signed for our app in the environment that was asked."""

    def __init__(self, api: ServerApi, signed_data: SignedData, *, grant_free_trials: bool) -> None:
        self._api = api
        self._signed_data = signed_data
        self._grant_free_trials = grant_free_trials

    def payment(self, theirs: str) -> tuple[Fact, ...]:
        """Everything that the store says about one purchase; `()` if it knows none of that name."""
        return self._api.first_known(lambda environment: self._facts_in(environment, theirs)) or ()

    def transaction(self, environment: Environment, number: str) -> tuple[Fact, ...]:
        """Everything that one environment says about one transaction; `()` if it does not know it."""
        try:
            return self._facts_of_transaction(environment, number)
        except NotKnown:
            return ()

    def refund(self, theirs: str, number: str) -> tuple[Fact, ...]:
        """The refund of that number if the purchase shows it; a refund that was taken back is shown no more."""
        revoked_at = number.partition("-")[0]
        return tuple(
            fact
            for fact in self.payment(theirs)
            if fact.kind in REFUND_KINDS and (fact.ref.refund or "").partition("-")[0] == revoked_at
        )

    def agreement(self, original: str) -> tuple[Fact, ...]:
        """The last period of a subscription, and whether it is in force or over; `()` if there is none."""
        if not is_id(original):
            return ()
        return self._api.first_known(lambda environment: self._status_in(environment, original)) or ()

    def transaction_id(self, environment: Environment, theirs: str) -> str | None:
        """A transaction of that purchase: the name itself, or for a subscription period one found in the history."""
        if is_id(theirs):
            return theirs
        found = self._period(environment, theirs)
        return found[0].transaction_id if found is not None else None

    def transactions_on(
        self, texts: object, environment: Environment
    ) -> Iterator[tuple[Transaction, Mapping[str, Any]]]:
        """The transactions of a page of history. Raises Unknown if one of them is not Apple's word.

        One that is, and cannot be read or names another app or none, must not hide the others for ever.
        """
        if not isinstance(texts, list):
            raise Unknown("an answer without signedTransactions")
        for text in texts:
            try:
                yield self.believed(text, environment)
            except Unknown as error:
                if error.code not in (Reason.CONTENT, Reason.APP, Reason.ENVIRONMENT):
                    raise
                _log.warning("transaction_skipped", why=str(error))

    def believed(self, text: object, environment: Environment) -> tuple[Transaction, Mapping[str, Any]]:
        """A transaction out of an answer, verified. Raises Unknown if it is not Apple's word."""
        if not isinstance(text, str):
            raise Unknown("an answer without a signed transaction")
        try:
            payload = self._signed_data.transaction(text)
            transaction = read_transaction(payload)
        except Refused as error:
            raise Unknown(f"an answer that cannot be believed: {error}", code=error.reason) from None
        if transaction.environment != environment:
            raise Unknown("an answer about another environment")
        return transaction, payload

    def facts_of(self, transaction: Transaction, raw: Mapping[str, Any]) -> tuple[Fact, ...]:
        return facts_of(transaction, raw, grant_free_trials=self._grant_free_trials)

    def settled(self, transaction: Transaction, raw: Mapping[str, Any]) -> tuple[Fact, ...]:
        """Everything that the transaction states, and what an upgrade gave back: of it, or of the period before it.

        Asks for the history where the transaction alone cannot tell. What was given back is told first.
        """
        if transaction.type != SUBSCRIPTION or not (transaction.is_upgraded or transaction.may_replace):
            return self.facts_of(transaction, raw)
        periods = self._periods(transaction.environment, transaction.original_transaction_id)
        known = periods.pop(transaction.theirs, (transaction, raw))
        before = [one for one in periods.values() if _start(one[0]) < _start(known[0])]
        replaced = before[-1:] if before and before[-1][0].is_upgraded else []
        others = [one for one, _ in periods.values()]
        told = [fact for one in replaced for fact in self._upgraded(*one, [*others, known[0]])]
        is_upgraded = known[0].is_upgraded or transaction.is_upgraded
        own = self._upgraded(*known, others) if is_upgraded else self.facts_of(transaction, raw)
        return (*told, *own)

    def _upgraded(self, old: Transaction, raw: Mapping[str, Any], others: Iterable[Transaction]) -> tuple[Fact, ...]:
        stated = self.facts_of(old, raw)
        if not any(fact.kind is Kind.PAID for fact in stated):
            return stated  # what was not paid is not given back
        paid = tuple(fact for fact in stated if fact.kind not in REFUND_KINDS)
        later = sorted((one for one in others if _start(one) > _start(old)), key=_start)
        return (*paid, *refunds_of_upgraded(old, raw, next(iter(later), None)))

    def _periods(self, environment: Environment, original: str) -> dict[str, tuple[Transaction, Mapping[str, Any]]]:
        """The periods of one subscription by name, in their order; the history comes by last change.

        Several transactions may tell one period. The first of them has its true beginning (a restore has a date of its
        own), and any of them may be the one that shows the upgrade.
        """
        found = [
            one
            for one in self._newest_first(environment, original)
            if one[0].original_transaction_id == original and one[0].type == SUBSCRIPTION
        ]
        periods: dict[str, tuple[Transaction, Mapping[str, Any]]] = {}
        for transaction, raw in sorted(found, key=lambda one: _start(one[0])):
            first, first_raw = periods.setdefault(transaction.theirs, (transaction, raw))
            if transaction.is_upgraded and not first.is_upgraded:
                periods[transaction.theirs] = (first.model_copy(update={"is_upgraded": True}), first_raw)
        return periods

    def _facts_in(self, environment: Environment, theirs: str) -> tuple[Fact, ...]:
        if not is_id(theirs):
            found = self._period(environment, theirs)
            return self.settled(*found) if found is not None else ()
        return self._facts_of_transaction(environment, theirs)

    def _facts_of_transaction(self, environment: Environment, number: str) -> tuple[Fact, ...]:
        transaction, raw = self.believed(self._api.transaction(environment, number), environment)
        if transaction.transaction_id != number:
            raise Unknown("an answer about another transaction")
        return self.settled(transaction, raw)

    def _period(self, environment: Environment, theirs: str) -> tuple[Transaction, Mapping[str, Any]] | None:
        """The newest transaction that tells this subscription period."""
        original, dash, _ = theirs.partition("-")
        if not dash or not is_id(original):
            return None
        for transaction, raw in self._newest_first(environment, original):
            if transaction.theirs == theirs:
                return transaction, raw
        return None

    def _newest_first(self, environment: Environment, original: str) -> Iterator[tuple[Transaction, Mapping[str, Any]]]:
        revision = ""
        for _ in range(MOST_PAGES):
            params: Params = [("sort", "DESCENDING"), ("productType", "AUTO_RENEWABLE")]
            answer = self._api.history(
                environment, original, [*params, *([("revision", revision)] if revision else [])]
            )
            yield from self.transactions_on(answer.get("signedTransactions"), environment)
            revision = next_revision(answer)
            if not revision:
                return

    def _status_in(self, environment: Environment, original: str) -> tuple[Fact, ...]:
        for status, text, renewal in _last_transactions(self._api.statuses(environment, original)):
            transaction, raw = self.believed(text, environment)
            if transaction.original_transaction_id == original and transaction.type == SUBSCRIPTION:
                facts = tuple(fact for fact in self.settled(transaction, raw) if fact.kind is not Kind.SIGNED)
                return (*facts, standing(status, transaction, raw, self._renewal(renewal, raw)))
        return ()

    def _renewal(self, text: object, transaction: Mapping[str, Any]) -> Renewal:
        """The renewal info beside that believed transaction. Raises Unknown if it is not Apple's word."""
        if text is None or text == "":
            return Renewal()
        if not isinstance(text, str):
            raise Unknown("an answer with a renewal info that is no text")
        try:
            return renewal_of(self._signed_data.renewal(text, transaction))
        except Refused as error:
            raise Unknown(f"an answer that cannot be believed: {error}", code=error.reason) from None


def _start(transaction: Transaction) -> tuple[int, int]:
    """The order of a subscription's periods: two of one millisecond are told apart by their numbers."""
    return transaction.purchase_date, int(transaction.transaction_id)


def next_revision(answer: Mapping[str, Any]) -> str:
    """Where the history goes on, empty at its end."""
    revision = answer.get("revision")
    return revision if answer.get("hasMore") is True and isinstance(revision, str) else ""


def _last_transactions(answer: Mapping[str, Any]) -> Iterator[tuple[object, object, object]]:
    groups = answer.get("data")
    for group in groups if isinstance(groups, list) else ():
        items = group.get("lastTransactions") if isinstance(group, dict) else None
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                yield item.get("status"), item.get("signedTransactionInfo"), item.get("signedRenewalInfo")
