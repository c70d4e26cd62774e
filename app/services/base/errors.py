"""What a use case refuses. Each refusal has a stable code; which HTTP status and title a code has is the web's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class DomainError(Exception):
    """A request that cannot be done as asked; nothing was changed unless the code says otherwise."""

    code = "domain_error"
    remembered = True
    """Whether the request's key keeps this refusal. False where time alone may turn the refusal into a yes."""

    def __init__(self, detail: str = "", **members: Any) -> None:
        """`detail` is one sentence for people; `members` are what machines read besides the code."""
        super().__init__(detail or self.code)
        self.detail = detail
        self.members = members


class SlotsFrozen(Exception):
    """The slots are being moved to another database: they can be used again in some seconds. Nothing was changed. It
    is no refusal: no key remembers it, and no line of a batch counts as refused."""

    RETRY_SECONDS = 2


class DatabaseUnavailable(DomainError):
    """One of several databases does not answer, and a part would be no answer. The detail names it."""

    code = "database_unavailable"
    remembered = False


class NotFound(DomainError):
    code = "not_found"


class Invalid(DomainError):
    code = "invalid_request"


class NotACursor(DomainError):
    """The member `field` names the member of the query."""

    code = "not_a_cursor"


class AddressRefused(DomainError):
    """The member `field` names where the address was."""

    code = "address_refused"


class UnknownProduct(DomainError):
    code = "unknown_product"


class NoPrice(DomainError):
    code = "no_price"


class UnknownProviderAccount(DomainError):
    code = "unknown_provider_account"


class UnknownWay(DomainError):
    code = "unknown_way"


class ExtraNotAccepted(DomainError):
    """The member `errors` says what is wrong."""

    code = "extra_not_accepted"


class NeedsAgreement(DomainError):
    code = "needs_agreement"


class CurrencyNotTaken(DomainError):
    code = "currency_not_taken"


class AmountTooLarge(DomainError):
    code = "amount_too_large"


class KeyReused(DomainError):
    """The member `field` names the first field that differs from the request that used the key before."""

    code = "idempotency_key_reused"
    remembered = False


class OrderNotOpen(DomainError):
    code = "order_not_open"


class TooManyPayments(DomainError):
    code = "too_many_payments"


class TooLittleTime(DomainError):
    """The provider would refuse the payment: too little of the order's time is left."""

    code = "too_little_time"


class TooManyOpenOrders(DomainError):
    """The member `retry_after` says in how many seconds one of the user's open orders ends."""

    code = "too_many_open_orders"
    remembered = False


class TooManyStarts(DomainError):
    """The member `retry_after` says in how many seconds the user may start a payment again."""

    code = "too_many_starts"
    remembered = False


class PaymentDeclined(DomainError):
    code = "payment_declined"


class ProviderUnavailable(DomainError):
    code = "provider_unavailable"
    remembered = False


class ProviderMisconfigured(DomainError):
    code = "provider_misconfigured"
    remembered = False


def remembered_refusal(code: str, detail: str = "", members: Mapping[str, Any] | None = None) -> DomainError:
    """The refusal with this code as it was first given: it is remembered already."""
    kind = next((one for one in _kinds(DomainError) if one.code == code), DomainError)
    error = DomainError.__new__(kind)
    DomainError.__init__(error, detail, **(members or {}))
    error.code, error.remembered = code, False
    return error


def _kinds(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _kinds(child)
