"""Every error that callers see: its code, its HTTP status and its title, as an RFC 9457 problem document.

This module alone knows HTTP statuses. Use cases and the ledger raise errors with a code; the table gives the rest.
A request that the OpenAPI document does not allow is answered 400, 413, 415 or 422. What is allowed and refused all the
same, for what there is or was done before, is answered 403, 404, 409, 410 or 429.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from apiflask import APIFlask
from apiflask.exceptions import HTTPError
from flask import Response, jsonify, request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

from app.domain.ledger import KeyConflict, LedgerError
from app.problem_documents import CONTENT_TYPE, members_of
from app.services.base.errors import DomainError, SlotsFrozen
from app.services.base.slot_maps import SlotMapDiffers, database_of_error
from app.web.request_log import RequestRecord, request_record

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_log = structlog.get_logger(__name__)
RETRY_AFTER_SECONDS = 2
"""Retry-After of a 503: the cause is usually over by then."""
UNNAMED = (409, "The request cannot be done.")
"""Status and title of a refusal whose code is not in the table; a test finds such codes."""
ERRORS: dict[str, tuple[int, str]] = {
    # The request itself
    "bad_request": (400, "The request is not readable."),
    "idempotency_key_missing": (
        400,
        "Send an Idempotency-Key header: 1 to 128 printable ASCII characters, one for each thing you want done.",
    ),
    "bad_actor": (400, "The header Tillbook-Actor is 1 to 64 printable ASCII characters."),
    "user_missing": (403, "Name the user: the key of a backend stands for no user."),
    "unauthorized": (401, "The credentials are missing, expired or wrong."),
    "forbidden": (403, "These credentials do not allow that."),
    "cursor_too_old": (410, "Events after this cursor are not kept any more."),
    "not_a_cursor": (404, "This is not the `next` of a page of this list."),
    "empty_time_span": (409, "`until` is not later than `since`."),
    "list_too_long": (409, "Name the user, or a time of a day at most, given by `since` and `until`."),
    "not_found": (404, "There is no such thing, or it is not yours."),
    "method_not_allowed": (405, "This address does not take that method."),
    "too_large": (413, "The body is too large."),
    "unsupported_media_type": (415, "Send JSON with the content type application/json."),
    "invalid_request": (422, "The request is not valid."),
    "idempotency_key_reused": (409, "This Idempotency-Key was used for another request."),
    "address_refused": (409, "Nothing is sent to this address: an endpoint is https, on the public internet."),
    "too_many_requests": (429, "The user asks too often. Wait, then repeat the request."),
    # What a caller may do
    "over_call_cap": (403, "This caller may not move as much in one call."),
    "over_day_cap": (
        429,
        "This caller may not move as much in one day. Wait for the next, or have the cap raised.",
    ),
    "unknown_asset": (409, "There is no such asset: no product grants it, and the setting `assets` does not name it."),
    "unknown_user": (409, "Nobody has seen this user. If the name is right, send `new_user: true`."),
    # Orders and payments
    "unknown_product": (409, "This product is not for sale."),
    "no_price": (409, "The product has no price in a currency of this provider."),
    "unknown_provider_account": (409, "There is no such provider account."),
    "unknown_way": (409, "The provider account has no such way of paying."),
    "extra_not_accepted": (409, "This way of paying needs other members in `extra`."),
    "currency_not_taken": (409, "The provider account does not take the order's currency."),
    "amount_too_large": (409, "So many of the product cost more than can be paid at once."),
    "order_not_open": (409, "The order is paid or expired. It takes no further payment."),
    "too_many_payments": (409, "Too many payment attempts for this order. Make a new order."),
    "too_little_time": (409, "Too little time is left to pay this order. Make a new order."),
    "too_many_open_orders": (429, "The user has too many open orders. Pay one, or wait until one expires."),
    "too_many_starts": (429, "The user has started too many payments within a minute. Wait, then repeat the request."),
    "payment_declined": (409, "The provider refused to make the payment."),
    "receipt_refused": (409, "This is not a proof of a purchase in this app."),
    "receipt_too_large": (413, "The proof is longer than this provider's proofs are."),
    "too_many_transactions": (409, "The receipt has too many transactions. Send them in parts."),
    "too_many_receipts": (429, "Too many of the user's receipts wait for the store. Try later."),
    # Agreements
    "needs_agreement": (409, "The product is paid for period after period: make an agreement."),
    "not_a_plan": (409, "The product is sold once: order it."),
    "already_agreed": (409, "The user has an agreement about this product."),
    "too_many_signings": (429, "Too many of the user's agreements wait to be signed. Wait until one expires."),
    "cannot_pay_now": (409, "The first period cannot be paid by the act of signing here."),
    "kept_by_the_store": (409, "The store charges this agreement: only the payer can change it, in the store."),
    "agreement_not_in_force": (409, "The agreement is not in force."),
    "needs_signing": (409, "The payer has signed less, or another period: make a new agreement."),
    # Refunds
    "payment_not_paid": (409, "There is no money of this payment that could go back."),
    "refund_exceeds_payment": (409, "The amount is more than is left of the payment."),
    "refund_not_supported": (409, "This provider decides about refunds by itself."),
    "coins_given_away": (409, "Coins of this purchase were given to others: it is not refunded."),
    # Wallets. A new Idempotency-Key asks anew.
    "insufficient_funds": (409, "The wallet has fewer coins available than the request wants."),
    "spend_limit": (409, "The user's spend limit for the day or the month does not allow that."),
    "wallet_frozen": (409, "The wallet is frozen."),
    "balance_overflow": (409, "The balance would pass 2^63 - 1."),
    "batch_not_applied": (409, "An item of the batch was refused, so nothing was booked."),
    "batch_spread": (
        409,
        "The users of this batch lie in several databases, so it cannot be all or nothing: send it one by one.",
    ),
    "hold_closed": (409, "The hold is captured or released. Nothing is reserved any more."),
    "hold_expired": (409, "The hold has expired. Nothing is reserved any more."),
    "hold_exceeded": (409, "The amount is more than the hold still reserves."),
    "not_reversible": (409, "A transfer of this kind cannot be reversed."),
    "reversal_exceeds": (409, "The amount is more than is left of the transfer."),
    # Endpoints
    "endpoint_exists": (409, "There is an endpoint of that name already."),
    "endpoint_in_settings": (409, "The settings name this endpoint. Change it there."),
    "too_many_endpoints": (409, "There are as many endpoints as there may be. Remove one."),
    "too_many_secrets": (409, "All secrets of the endpoint still sign. Wait until one has ended."),
    "delivery_ended": (409, "The delivery is done or given up already."),
    # Fulfilments
    "fulfilment_not_asked": (409, "The backend was not asked for what this answers."),
    "fulfilment_contradicted": (409, "This was answered otherwise before."),
    # Gifts
    "gifts_not_allowed": (403, "The settings do not allow this caller to give."),
    "gift_to_self": (409, "Giver and receiver are one user."),
    "gift_limit": (409, "The gift is more than one gift, or the gifts of one day, may be."),
    # Finance
    "actor_missing": (403, "Name the person who does this: send the header Tillbook-Actor."),
    "entry_ended": (409, "The journal entry is posted or withdrawn already."),
    "entry_refused": (409, "The journal entry cannot be booked: `detail` says why."),
    "no_such_day": (409, "There is no such day or time of day."),
    "entry_taken_back": (409, "Only a posted journal entry can be taken back, and only once."),
    "needs_another_person": (409, "Another person than the one who proposed it must confirm it."),
    "fact_not_ended": (409, "This fact cannot be ended so: `detail` says why."),
    "difference_refused": (409, "This cannot be done about the difference."),
    "not_closable": (409, "The month cannot be closed."),
    # Not the caller's fault
    "internal_error": (500, "An unexpected error. The service has logged it."),
    "provider_misconfigured": (502, "The provider does not accept our credentials or settings."),
    "provider_unavailable": (
        503,
        "The provider gave no usable answer. Send the same request with the same Idempotency-Key again.",
    ),
    "database_unavailable": (
        503,
        "The database does not answer. Send the same request with the same Idempotency-Key again.",
    ),
    "slots_frozen": (
        503,
        "Data is being moved to another database. Send the same request with the same Idempotency-Key again.",
    ),
    "days_not_worked_out": (409, "The worker has not worked out these days yet: each a day after its end."),
    "report_bounds": (409, "The report takes other bounds: `detail` names the one that is missing or cannot be given."),
    "time_span_too_long": (422, "More days than one request may ask for: ask for a part, or use the command line."),
    "too_many_downloads": (503, "This process sends as many CSV files as it may. Try again."),
    "keys_unavailable": (503, "The keys of user tokens cannot be fetched at present. Try again."),
    "checkpoints_behind": (503, "The worker has not added up enough of the past yet. Try again later."),
    "reports_unavailable": (503, "The database for reports does not answer, or has another schema. Try again later."),
    "schema_outdated": (503, "The database has another schema. Run `tillbook migrate`."),
    "slot_map_outdated": (503, "The databases say otherwise than the settings where each slot lies."),
}
_SAID_BY_TITLE = frozenset({"idempotency_key_reused", "not_found"})
"""The ledger's own text names ids of ours, and would tell a caller nothing."""
LEDGER_CODES = {"key_conflict": "idempotency_key_reused", "invalid_transfer": "invalid_request"}
"""Errors of the ledger that callers know by another code."""
_HTTP_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
}


def problem(code: str, detail: str = "", /, **members: Any) -> Response:
    """The problem document of this code. `members` are extension members of RFC 9457; one that is named like a standard
    member is left out. A member `retry_after` is the number of seconds to wait, and a header as well."""
    status, title = ERRORS.get(code, UNNAMED)
    return _document(status, code, title, detail, members)


def outside_application(code: str) -> WSGIApplication:
    """An application that answers every request with the problem document of this code: for what is refused before
    Flask sees it. The connection ends with it, since the rest of the request is not read."""
    status, title = ERRORS[code]

    def answering(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = json.dumps(_members(status, code, title, request_record()))
        answer = WerkzeugResponse(body, status, content_type=CONTENT_TYPE)
        answer.headers["Connection"] = "close"
        return answer(environ, start_response)

    return answering


def _members(status: int, code: str, title: str, asked: RequestRecord) -> dict[str, Any]:
    """What every problem document has. The request's record learns the code."""
    asked.code = code
    return members_of(status, code, title, asked.id)


def _document(status: int, code: str, title: str, detail: str, members: Mapping[str, Any]) -> Response:
    body = _members(status, code, title, request_record())
    if detail and detail != title:
        body["detail"] = detail
    response = jsonify({**members, **body})
    response.status_code = status
    response.content_type = CONTENT_TYPE
    wait = members.get("retry_after", RETRY_AFTER_SECONDS if status == 503 else None)
    if wait is not None:
        response.headers["Retry-After"] = str(wait)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def register_errors(app: APIFlask) -> None:
    app.error_processor(_invalid)
    app.register_error_handler(DomainError, _refused)
    app.register_error_handler(LedgerError, _refused_by_ledger)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(RecursionError, _too_deep)
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(PoolTimeout, _database)
    app.register_error_handler(SlotMapDiffers, _database)
    app.register_error_handler(SlotsFrozen, _frozen)
    app.register_error_handler(Exception, _defect)


def _refused(error: DomainError) -> Response:
    members = dict(error.members)
    if isinstance(members.get("errors"), list):  # use cases do not know where in the request their input was
        members["errors"] = [{"in": "json", **fault} for fault in members["errors"]]
    return problem(error.code, error.detail, **members)


def _refused_by_ledger(error: LedgerError) -> Response:
    field = getattr(error, "field", None) if isinstance(error, KeyConflict) else None
    members = {} if not field else {"field": field}
    code = LEDGER_CODES.get(error.code, error.code)
    return problem(code, "" if code in _SAID_BY_TITLE else str(error), **members)


def _invalid(error: HTTPError) -> Response:
    """APIFlask's own errors: a body or query that does not fit its model, with one entry for each fault."""
    status = error.status_code
    members: dict[str, Any] = {}
    if isinstance(error.detail, dict):
        members["errors"] = [
            {"field": field if field != "_schema" else "", "in": place, "message": message}
            for place, fields in error.detail.items()
            for field, messages in _pairs(fields)
            for message in messages
        ]
    return _document(status, _HTTP_CODES.get(status, "invalid_request"), str(error.message), "", members)


def _pairs(fields: Any) -> list[tuple[str, list[str]]]:
    return list(fields.items()) if isinstance(fields, dict) else [("", [str(fields)])]


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:
        return problem("not_found")
    code = _HTTP_CODES.get(status)
    answer = problem(code) if code else _document(status, "http_error", error.name, "", {})
    if status == 405 and isinstance(error.get_headers(), list):
        answer.headers.extend([pair for pair in error.get_headers() if pair[0].lower() == "allow"])
    return answer


def _too_deep(_: RecursionError) -> Response:
    return problem("bad_request", "The document is nested too deeply.")


def _database(error: Exception) -> Response:
    name = database_of_error(error)
    _log.error("database_unavailable", path=request.path, database=name, error=type(error).__name__, exc_info=error)
    return problem("database_unavailable", "" if name is None else f"The database {name!r} does not answer.")


def _frozen(error: SlotsFrozen) -> Response:
    _log.warning("slots_frozen", path=request.path, why=str(error))
    return problem("slots_frozen", retry_after=error.RETRY_SECONDS)


def _defect(error: Exception) -> Response:
    _log.error("unexpected_error", path=request.path, exc_info=error)
    return problem("internal_error")
