"""The one way in which the service calls a provider: a place in the account's bulkhead, a deadline, an outcome that is
a value, a metric, and one log line for each call that brought no answer.

A provider that hangs would else take every thread, and with them the wallets, the other providers' notifications and
the health checks. Whoever finds no place is soon told so, and nothing is lost: the call did not happen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

import structlog

from app import metrics
from app.domain.facts import Refusal
from app.providers.errors import Declined, Misconfigured, ProviderError, Retryable
from app.providers.http import deadline
from app.providers.registry import ProviderAccount
from app.services.base.context import Bulkheads, Core
from app.services.base.sanitize import problem_text

START, SIGN = "start", "sign"
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class CallEnd(StrEnum):
    """How a call ended. What is not an answer and not a definite no may have happened, unless `NOT_DONE` says so."""

    ANSWERED = "answered"
    DECLINED = "declined"
    """A definite no."""
    NOT_DONE = "not_done"
    """It did not happen; the call may be repeated."""
    MISCONFIGURED = "misconfigured"
    """It did not happen, and cannot until a person has mended the settings."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CallSubject:
    """What a call is about, by our numbers: what is remembered of it lies in that slot (`calls.call_log`)."""

    slot: int
    payment: int | None = None
    refund: int | None = None
    receipt: int | None = None
    agreement: int | None = None

    def numbers(self) -> dict[str, object]:
        """Those that are known, for the log line."""
        named = {
            "payment": self.payment,
            "refund": self.refund,
            "receipt": self.receipt,
            "agreement": self.agreement,
        }
        return {name: number for name, number in named.items() if number is not None}


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What is remembered of a call beside how it ended."""

    id: int
    subject: CallSubject
    account: str
    verb: str
    at: datetime
    ms: int


@dataclass(frozen=True, slots=True)
class ProviderCall(Generic[T]):
    """A call that has ended."""

    end: CallEnd
    answer: T | None = None
    problem: str = ""
    """Why there is no answer, in the provider's words, short enough to be kept. Of an unexpected exception only the
    type, since its text may quote anything."""
    code: str = ""
    """The provider's own word for its refusal."""
    refusal: Refusal | None = None
    """Why a charge under an agreement was declined."""
    not_before: datetime | None = None
    """When the provider wants to be asked again, where it says so."""
    record: CallRecord | None = None
    """For its row in the log. None where nothing was asked: a payment or an agreement that was only signed here, a
    history."""

    @property
    def answered(self) -> bool:
        return self.end is CallEnd.ANSWERED


def call_provider(
    core: Core,
    account: ProviderAccount,
    verb: str,
    call: Callable[[], T],
    *,
    seconds: float,
    subject: CallSubject | None = None,
    **about: object,
) -> ProviderCall[T]:
    """Make one call of at most that many seconds. Never raises. `about` goes into the log line.

    Whoever makes a call about a `subject` keeps it (`call_log.keep_call`), in the transaction after the answer."""
    began, at, requests = time.monotonic(), core.clock.now(), 0
    ended: ProviderCall[T]
    try:
        with core.bulkheads.place(account.name), deadline(seconds) as bounds:
            ended = ProviderCall(CallEnd.ANSWERED, call())
            requests = bounds.requests
    except Exception as error:
        ended = _ended(error)
        about |= {} if subject is None else subject.numbers()
        _report(account, verb, error, ended, time.monotonic() - began, about)
    spent = time.monotonic() - began
    metrics.PROVIDER_CALLS.labels(account.name, verb, ended.end).observe(spent)
    if subject is None or (verb in (START, SIGN) and ended.answered and not requests):
        return ended
    number = core.numbers.next(subject.slot)
    return replace(ended, record=CallRecord(number, subject, account.name, verb, at, round(spent * 1000)))


def _ended(error: Exception) -> ProviderCall[T]:
    code = error.code if isinstance(error, ProviderError) else ""
    said = f"{code} {error}".strip() if isinstance(error, ProviderError) else ""
    not_before = error.not_before if isinstance(error, Retryable) else None
    refusal = error.refusal if isinstance(error, Declined) else None
    return ProviderCall(_end_of(error), None, problem_text(said or type(error).__name__), code, refusal, not_before)


def _end_of(error: Exception) -> CallEnd:
    if isinstance(error, Declined):
        return CallEnd.DECLINED
    if isinstance(error, Retryable | Bulkheads.Full):
        return CallEnd.NOT_DONE
    return CallEnd.MISCONFIGURED if isinstance(error, Misconfigured) else CallEnd.UNKNOWN


def _report(
    account: ProviderAccount,
    verb: str,
    error: Exception,
    ended: ProviderCall[T],
    seconds: float,
    about: dict[str, object],
) -> None:
    """One line. An unexpected exception is our defect: with its traceback. A wait that the provider asked for (a bill
    that is not made yet) alarms nobody."""
    known = isinstance(error, ProviderError | Bulkheads.Full)
    alarming = not known or ended.end is CallEnd.MISCONFIGURED
    say = _log.error if alarming else _log.info if ended.not_before is not None else _log.warning
    say(
        "provider_call_failed",
        verb=verb,
        provider_account=account.name,
        end=ended.end,
        kind=type(error).__name__,
        error=ended.problem,
        ms=round(seconds * 1000),
        exc_info=not known,
        **about,
    )
