"""What a use case refuses, with the stable code that callers see (RFC 9457). The text is for people and may change."""

from __future__ import annotations

from typing import Any


class Problem(Exception):
    """A request that cannot be done as asked; nothing was changed unless the code says otherwise."""

    code = "problem"
    status = 400
    title = "The request cannot be done."

    def __init__(self, detail: str = "", **members: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.members = members


class NotFound(Problem):
    code, status, title = "not_found", 404, "There is no such thing, or it is not yours."


class Invalid(Problem):
    code, status, title = "invalid_request", 422, "The request is not valid."


class UnknownProduct(Problem):
    code, status, title = "unknown_product", 422, "This product is not for sale."


class NoPrice(Problem):
    code, status, title = "no_price", 422, "The product has no price in a currency of this provider."


class UnknownProviderAccount(Problem):
    code, status, title = "unknown_provider_account", 422, "There is no such provider account."


class UnknownWay(Problem):
    code, status, title = "unknown_way", 422, "The provider account has no such way of paying."


class KeyReused(Problem):
    code, status, title = "idempotency_key_reused", 409, "This Idempotency-Key was used for another request."


class OrderNotOpen(Problem):
    code, status, title = "order_not_open", 409, "The order is paid or expired: it takes no further payment."


class TooManyPayments(Problem):
    code, status, title = "too_many_payments", 409, "The order has been tried to pay too often. Make a new order."


class PaymentDeclined(Problem):
    code, status, title = "payment_declined", 409, "The provider refused to make the payment."


class ProviderUnavailable(Problem):
    code, status, title = (
        "provider_unavailable",
        503,
        "The provider gave no usable answer. Send the same request with the same Idempotency-Key again.",
    )


class ProviderMisconfigured(Problem):
    code, status, title = "provider_misconfigured", 502, "The provider does not accept our credentials or settings."
