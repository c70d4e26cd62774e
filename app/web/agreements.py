"""Agreements to pay period after period, and what they make active."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from apiflask import APIBlueprint

from app.domain import list_tables, representations
from app.providers.http import deadline
from app.services.agreements import agreement_lists, agreement_requests, entitlements, signing_requests
from app.services.agreements.agreement_lists import AgreementFilter
from app.services.agreements.signing_requests import NewAgreement
from app.services.base.idempotency import Keyed, keyed
from app.services.base.list_pages import TimeSpan
from app.services.calls import agreement_queries, agreement_signing, payment_queries
from app.services.payments.orders import PayBy
from app.web import agreement_schemas as shapes
from app.web.access import Forbidden, caller, needs
from app.web.context import core, number_in
from app.web.lists import CSV_RESPONSE, MOMENT, NUMBER, ListShape, list_answer
from app.web.schemas import ListQuery, UserQuery, idempotency_key

blueprint = APIBlueprint("agreements", __name__, url_prefix="/v1", tag="Agreements")
AGREEMENT_LIST = ListShape("agreements", "agreements", (NUMBER,), list_tables.AGREEMENT_COLUMNS)
ALL_AGREEMENTS = replace(AGREEMENT_LIST, name="all-agreements", place=(MOMENT, NUMBER))
PERIOD_LIST = ListShape("periods", "periods", (NUMBER,), list_tables.PERIOD_COLUMNS)


@blueprint.post("/agreements")
@needs("orders")
@blueprint.input(shapes.AgreementIn, arg_name="body")
@blueprint.output(shapes.AgreementOut, status_code=201)
def create_agreement(body: shapes.AgreementIn) -> Any:
    """Begin an agreement about a product with a plan: the answer's `action` is what the client does to sign.

    Once it is signed, each period is charged at its time. Sending the same request with the same Idempotency-Key again
    gives the same agreement, and goes on where the first one stopped.
    """
    user_id = caller().user(body.user)
    content = {**body.model_dump(mode="json"), "user": user_id}
    request = keyed(caller().speaking_for(user_id), idempotency_key(), "create_agreement", content)
    pay_by = PayBy(body.provider_account, body.way, body.extra, body.return_url)
    replaces = None if body.replaces is None else number_in(body.replaces)
    wanted = NewAgreement(user_id, body.product, pay_by, body.currency, body.zone, body.pay_now, replaces)
    number = signing_requests.create_signing(core(), wanted, request)
    agreement_signing.start_signing(core(), number)
    return _shown(number)


@blueprint.get("/agreements")
@needs("read")
@blueprint.input(shapes.AgreementsQuery, location="query", arg_name="query")
@blueprint.output(shapes.AgreementsOut)
@blueprint.doc(responses=CSV_RESPONSE)
def list_agreements(query: shapes.AgreementsQuery) -> Any:
    """Agreements, newest first, with every provider, and those that stores charge: the user's, or, for a backend's key
    without `user`, those of all users."""
    user_id, house = caller().user_if_named(query.user), core()
    made = TimeSpan(query.since, query.until)
    wanted = AgreementFilter(user_id, query.status, query.provider_account, query.product, made)
    shape = ALL_AGREEMENTS if user_id is None else AGREEMENT_LIST
    return list_answer(
        shape, query, partial(agreement_lists.list_agreements, house, wanted), representations.agreement_data
    )


@blueprint.get("/agreements/<number>")
@needs("read")
@blueprint.input(UserQuery, location="query", arg_name="query")
@blueprint.output(shapes.AgreementOut)
def show_agreement(number: str, query: UserQuery) -> Any:
    """One agreement. A backend's key reads every one, with `user` only those of that user.

    A store is asked about its agreement first, once a day at the most.
    """
    parsed, user_id = number_in(number), caller().user_if_named(query.user)
    row = agreement_requests.view_agreement(core(), user_id, parsed)
    with deadline(payment_queries.READER_SECONDS):
        was_asked = agreement_queries.ask_when_read(core(), row)
    return _shown(parsed, user_id) if was_asked else representations.agreement_data(row)


@blueprint.get("/agreements/<number>/periods")
@needs("read")
@blueprint.input(ListQuery, location="query", arg_name="query")
@blueprint.output(shapes.PeriodsOut)
@blueprint.doc(responses=CSV_RESPONSE)
def list_periods(number: str, query: ListQuery) -> Any:
    """The periods of an agreement, newest first: paid, free, due, or left unpaid."""
    row = agreement_requests.view_agreement(core(), caller().user_if_named(query.user), number_in(number))
    return list_answer(
        PERIOD_LIST, query, partial(agreement_lists.periods_of, core(), row), representations.period_data
    )


@blueprint.post("/agreements/<number>/cancel")
@needs("orders")
@blueprint.input(shapes.CancelAgreementIn, arg_name="body")
@blueprint.output(shapes.AgreementOut)
def cancel_agreement(number: str, body: shapes.CancelAgreementIn) -> Any:
    """End an agreement, at once or with the period that is paid. What a store charges only the payer ends, there.

    The answer says how far that has come; the worker goes on until the provider says that it is over.
    """
    who, parsed = caller(), number_in(number)
    wanted = {**body.model_dump(mode="json"), "agreement": number}
    asked_by = _keyed("cancel_agreement", wanted)
    agreement_requests.request_end(core(), parsed, who.user_id, asked_by, who.actor, at_once=body.at_once)
    agreement_queries.work_on_agreement(core(), parsed)
    return _shown(parsed)


@blueprint.post("/agreements/<number>/pause")
@needs("orders")
@blueprint.output(shapes.AgreementOut)
def pause_agreement(number: str) -> Any:
    """Charge nothing under an agreement until it is resumed. For the backend alone."""
    parsed = _for_backend(number)
    agreement_requests.pause_charges(core(), parsed, None, _keyed("pause_agreement", {"agreement": number}))
    return _shown(parsed)


@blueprint.post("/agreements/<number>/resume")
@needs("orders")
@blueprint.output(shapes.AgreementOut)
def resume_agreement(number: str) -> Any:
    """Charge again under an agreement that was paused, stayed unpaid, or was to be ended. For the backend alone."""
    parsed = _for_backend(number)
    agreement_requests.resume_charges(core(), parsed, None, _keyed("resume_agreement", {"agreement": number}))
    return _shown(parsed)


@blueprint.post("/agreements/<number>/plan")
@needs("orders")
@blueprint.input(shapes.ChangePlanIn, arg_name="body")
@blueprint.output(shapes.AgreementOut)
def set_plan(number: str, body: shapes.ChangePlanIn) -> Any:
    """Choose another product from the next period on. One that costs more than was signed needs a new agreement."""
    parsed = number_in(number)
    wanted = {**body.model_dump(mode="json"), "agreement": number}
    agreement_requests.change_plan(core(), parsed, caller().user_id, _keyed("set_plan", wanted), body.product)
    return _shown(parsed)


@blueprint.get("/entitlements")
@needs("read")
@blueprint.input(UserQuery, location="query", arg_name="query")
@blueprint.output(shapes.EntitlementsOut)
def list_entitlements(query: UserQuery) -> Any:
    """What is active for a user now, and until when: from all of the user's agreements, whoever charges."""
    found = entitlements.entitlements_of_user(core(), caller().user(query.user))
    return {"entitlements": [representations.entitlement_data(each) for each in found]}


def _shown(number: int, user_id: str | None = None) -> Any:
    return representations.agreement_data(agreement_requests.view_agreement(core(), user_id, number))


def _keyed(what: str, content: dict[str, Any]) -> Callable[[str], Keyed]:
    """The request's key, once it is known whose agreement it is about."""
    who, key = caller(), idempotency_key()
    return lambda user_id: keyed(who.speaking_for(user_id), key, what, {**content, "user": user_id})


def _for_backend(number: str) -> int:
    if caller().user_id is not None:
        raise Forbidden("this is for the app's backend")
    return number_in(number)
