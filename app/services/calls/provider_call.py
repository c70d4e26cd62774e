"""The one way in which the service calls a provider: a place in the account's bulkhead, a deadline, an outcome that is
a value, a metric, and one log line for each call that brought no answer.

A provider that hangs would else take every thread, and with them the wallets, the other providers' notifications and
the health checks. Whoever finds no place is soon told so, and nothing is lost: the call did not happen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

import structlog

from app import metrics
from app.providers.errors import Declined, Misconfigured, ProviderError, Retryable
from app.providers.http import deadline
from app.providers.registry import ProviderAccount
from app.services.base.context import Bulkheads, Core
from app.services.base.sanitize import problem_text

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
class ProviderCall(Generic[T]):
    """A call that has ended."""

    end: CallEnd
    answer: T | None = None
    problem: str = ""
    """Why there is no answer, in the provider's words, short enough to be kept. Of an unexpected exception only the
    type, since its text may quote anything."""
    code: str = ""
    """The provider's own word for its refusal."""
    not_before: datetime | None = None
    """When the provider wants to be asked again, where it says so."""

    @property
    def answered(self) -> bool:
        return self.end is CallEnd.ANSWERED


def call_provider(
    core: Core, account: ProviderAccount, verb: str, call: Callable[[], T], *, seconds: float, **about: object
) -> ProviderCall[T]:
    """Make one call of at most that many seconds. Never raises. `about` goes into the log line."""
    began = time.monotonic()
    ended: ProviderCall[T]
    try:
        with core.bulkheads.place(account.name), deadline(seconds):
            ended = ProviderCall(CallEnd.ANSWERED, call())
    except Exception as error:
        ended = _ended(error)
        _report(account, verb, error, ended, time.monotonic() - began, about)
    metrics.PROVIDER_CALLS.labels(account.name, verb, ended.end).observe(time.monotonic() - began)
    return ended


def _ended(error: Exception) -> ProviderCall[T]:
    code = error.code if isinstance(error, ProviderError) else ""
    said = f"{code} {error}".strip() if isinstance(error, ProviderError) else ""
    not_before = error.not_before if isinstance(error, Retryable) else None
    return ProviderCall(_end_of(error), None, problem_text(said or type(error).__name__), code, not_before)


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
