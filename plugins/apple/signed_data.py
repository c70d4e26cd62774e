"""Is it Apple's word, about our app, from an environment that we take?

`Refused.reason` says which of these it is not. Three kinds of signed document exist here; only the outermost is vouched
for by its own signature, so whoever opens a notification verifies what is nested in it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from plugins.apple.chains import Chains, UntrustedChain
from plugins.apple.jws import Jws, MalformedJws, decode, is_signed_by
from plugins.apple.recent import Recent
from plugins.apple.settings import Environment

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = 4_102_444_800_000  # 2100-01-01: later ones are no times of Apple's, and overflow what reads them


KEPT_DOCUMENTS = 256
"""Documents whose signature was good, about 5 MiB: Apple repeats notifications, and devices their transactions. Only
genuine ones are kept, so that a stranger cannot fill this."""


class Reason(StrEnum):
    FORM = "form"
    """Not a signed document of the accepted form."""
    ENVIRONMENT = "environment"
    SIGNATURE = "signature"
    """The chain is not trusted, or the signature is not the leaf's."""
    APP = "app"
    """Genuine, and about another app: most of the fraud that a shop sees."""
    CONTENT = "content"
    """Genuine and ours, but without something that must be there."""
    TOO_MANY = "too_many_transactions"
    """More transactions in one receipt than are taken at a time: hand them in by several receipts."""
    TOO_LARGE = "receipt_too_large"


class Refused(Exception):
    """The document must not be believed."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class App:
    """Whose purchases are ours."""

    bundle_id: str
    app_apple_id: int | None
    environments: tuple[Environment, ...]


def moment(milliseconds: object) -> datetime:
    """Apple's milliseconds since 1970 as a time, exactly. Raises Refused for anything else."""
    if type(milliseconds) is not int or not 0 < milliseconds < _LATEST_MS:
        raise Refused(Reason.CONTENT, "not a time in milliseconds")
    return _EPOCH + timedelta(milliseconds=milliseconds)


class SignedData:
    """Verifies transactions, renewal infos and notifications of one app. Makes no call of any kind."""

    def __init__(self, app: App, chains: Chains) -> None:
        self.app = app
        self._chains = chains
        self._genuine: Recent[str, Jws] = Recent(KEPT_DOCUMENTS)

    def transaction(self, text: str) -> Mapping[str, Any]:
        """The payload of a signed transaction of our app. Raises Refused."""
        jws = self._decoded(text)
        self._check_environment(jws.payload.get("environment"))
        self._check_signature(text, jws)
        if jws.payload.get("bundleId") != self.app.bundle_id:
            raise Refused(Reason.APP, "a transaction of another app")
        return jws.payload

    def renewal(self, text: str, transaction: Mapping[str, Any]) -> Mapping[str, Any]:
        """The payload of the renewal info that came with that verified transaction. Raises Refused.

        A renewal info names no app, so one of any app would pass alone: it counts only beside its transaction.
        """
        jws = self._decoded(text)
        self._check_environment(jws.payload.get("environment"))
        self._check_signature(text, jws)
        if jws.payload.get("environment") != transaction.get("environment"):
            raise Refused(Reason.ENVIRONMENT, "a renewal info of another environment than its transaction")
        if jws.payload.get("originalTransactionId") != transaction.get("originalTransactionId"):
            raise Refused(Reason.CONTENT, "a renewal info of another subscription than its transaction")
        return jws.payload

    def notification(self, text: str) -> Mapping[str, Any]:
        """The payload of a notification to our app; what is nested in it is still unverified. Raises Refused."""
        jws = self._decoded(text)
        subject = _subject(jws.payload)
        self._check_environment(subject.environment)
        self._check_signature(text, jws)
        if subject.bundle_id != self.app.bundle_id:
            raise Refused(Reason.APP, "a notification to another app")
        # Sandbox notifications carry no appAppleId.
        if subject.environment == "Production" and subject.app_apple_id != self.app.app_apple_id:
            raise Refused(Reason.APP, "a notification to another app")
        return jws.payload

    def _check_environment(self, environment: object) -> None:
        """Before anything else: Apple's library skips all cryptography for Xcode and LocalTesting."""
        if environment not in self.app.environments:
            raise Refused(Reason.ENVIRONMENT, "an environment that this account does not take")

    def _decoded(self, text: object) -> Jws:
        if not isinstance(text, str):
            raise Refused(Reason.FORM, "a signed document is a text")
        try:
            return self._genuine.get(text) or decode(text)
        except MalformedJws as error:
            raise Refused(Reason.FORM, f"not a signed document of the App Store: {error}") from None

    def _check_signature(self, text: str, jws: Jws) -> None:
        """Whether a signature is good never changes: the chain is judged at the moment of signing."""
        if self._genuine.get(text) is not None:
            return
        try:
            key = self._chains.key_at(jws.x5c, moment(jws.payload.get("signedDate")))
        except UntrustedChain as error:
            raise Refused(Reason.SIGNATURE, f"the certificate chain is not trusted: {error}") from None
        if not is_signed_by(jws, key):
            raise Refused(Reason.SIGNATURE, "the signature is not the certificate's")
        self._genuine.keep(text, jws)


@dataclass(frozen=True, slots=True)
class _Subject:
    """Which app and environment a notification is about."""

    bundle_id: object
    app_apple_id: object
    environment: object


def _subject(payload: Mapping[str, Any]) -> _Subject:
    """A notification has exactly one of four containers, each of which names the app in its own way."""
    for name in ("data", "summary", "externalPurchaseToken", "appData"):
        container = payload.get(name)
        if isinstance(container, dict):
            environment = container.get("environment")
            if name == "externalPurchaseToken":
                environment = _environment_of_token(container.get("externalPurchaseId"))
            return _Subject(container.get("bundleId"), container.get("appAppleId"), environment)
    raise Refused(Reason.CONTENT, "a notification that does not name its app")


def _environment_of_token(purchase_id: object) -> str:
    """External purchases name no environment; the ids of the sandbox begin with the word."""
    return "Sandbox" if isinstance(purchase_id, str) and purchase_id.startswith("SANDBOX") else "Production"
