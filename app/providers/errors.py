"""How a provider call ends badly. Any other exception that a plugin lets out counts as `Unknown`.

Messages are read by operators: ids and provider codes, never a key, a token, a signature or a person's data.
"""

from __future__ import annotations

from datetime import datetime

from app.domain.facts import Refusal
from app.providers.facts import Ref, Reply


class ProviderError(Exception):
    """Something kept the provider from giving a plain answer.

    `code` is the provider's own word for it (`ACQ.TRADE_HAS_CLOSE`), empty when there is none.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Declined(ProviderError):
    """A definite no: nothing happened and nothing will.

    `refusal` says why, of a charge under an agreement; None counts as `Refusal.OTHER`.
    """

    def __init__(self, message: str, *, code: str = "", refusal: Refusal | None = None) -> None:
        super().__init__(message, code=code)
        self.refusal = refusal


class Retryable(ProviderError):
    """It did not happen; the same request may be sent again later.

    `not_before` is the provider's own word on when (a rate limit), None when it did not say.
    """

    def __init__(self, message: str, *, code: str = "", not_before: datetime | None = None) -> None:
        super().__init__(message, code=code)
        self.not_before = not_before


class Unknown(ProviderError):
    """It may have happened: query before doing anything else. The default for everything unexpected."""


class Misconfigured(ProviderError):
    """Wrong key, expired certificate, product not signed: alarm a person, do not retry."""


class Forged(ProviderError):
    """The message is not authentic (or stale, or not readable as this provider's).

    A readable reference may ride along as `hint`: the core then asks the provider about it, and believes only the
    answer. `reply` is what to say to the sender, in the provider's words.
    """

    def __init__(self, message: str, *, hint: Ref | None = None, reply: Reply | None = None, code: str = "") -> None:
        super().__init__(message, code=code)
        self.hint = hint
        self.reply = reply or Reply(400, "text/plain", b"refused")


class UnreadableBill(ValueError):
    """The document is not what its provider writes, or not whole: rows are missing, or its columns do not add up to its
    own totals. The text says what was found, without a row's content."""
