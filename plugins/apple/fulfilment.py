"""`fulfil`: telling Apple that a purchase was delivered, whose it is, or how much of it was used up.

The core reports in these words (`report["about"]` chooses; a member that does not belong is an error):

    {"about": "delivered"}                          finish the transaction; needless where the app finishes it
    {"about": "owner", "owner": <account token>}    write the token into a purchase that came without one
    {"about": "consumption",                        the answer to REFUND_ASKED
     "consented": true,                             the customer's recorded consent; without it nothing is sent
     "asked_at": <aware datetime, or its ISO text>, `Fact.at` of the question
     "consumed_share": 0..100000,                   of this purchase's lots, in parts per 100 000
     "delivery": "delivered" | "quality_issue" | "wrong_item" | "server_outage" | "other",
     "sample_provided": false,                      whether it could be tried out before
     "wish": null | "grant_full" | "grant_prorated" | "decline"}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app.providers import Clock, Declined, Ref
from plugins.apple.app_receipts import is_id
from plugins.apple.questions import Questions
from plugins.apple.server_api import NotKnown, ServerApi
from plugins.apple.settings import Environment
from plugins.apple.transactions import WHOLE

ANSWER_WITHIN = timedelta(hours=12)

_DELIVERY = {
    "delivered": "DELIVERED",
    "quality_issue": "UNDELIVERED_QUALITY_ISSUE",
    "wrong_item": "UNDELIVERED_WRONG_ITEM",
    "server_outage": "UNDELIVERED_SERVER_OUTAGE",
    "other": "UNDELIVERED_OTHER",
}
_WISH = {"grant_full": "GRANT_FULL", "grant_prorated": "GRANT_PRORATED", "decline": "DECLINE"}


class _Report(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Delivered(_Report):
    about: Literal["delivered"]


class Owner(_Report):
    about: Literal["owner"]
    owner: UUID


class Consumption(_Report):
    about: Literal["consumption"]
    consented: bool
    asked_at: AwareDatetime
    consumed_share: Annotated[int, Field(ge=0, le=WHOLE, strict=True)]
    delivery: Literal["delivered", "quality_issue", "wrong_item", "server_outage", "other"] = "delivered"
    sample_provided: bool = False
    wish: Literal["grant_full", "grant_prorated", "decline"] | None = None


_REPORTS: TypeAdapter[Delivered | Owner | Consumption] = TypeAdapter(
    Annotated[Delivered | Owner | Consumption, Field(discriminator="about")]
)


class Fulfilment:
    """Sends the reports on purchases of one app."""

    def __init__(self, api: ServerApi, questions: Questions, clock: Clock, *, answer_refund_questions: bool) -> None:
        self._api = api
        self._questions = questions
        self._clock = clock
        self._answer_refund_questions = answer_refund_questions

    def send(self, ref: Ref, report: Mapping[str, Any]) -> None:
        """Raises Declined for a report that cannot be sent, and where the store knows no such purchase."""
        if ref.theirs is None:
            raise Declined("a report names the store's own number of the purchase")
        parsed = _parsed(report)
        if isinstance(parsed, Delivered):
            self._for_transaction(ref.theirs, self._api.finish)
        elif isinstance(parsed, Owner):
            self._bind(ref, str(parsed.owner))
        else:
            self._answer(ref.theirs, parsed)

    def _bind(self, ref: Ref, token: str) -> None:
        original = ref.agreement or ref.theirs or ""
        if not is_id(original):
            raise Declined("the owner of a subscription is set on the subscription: name the agreement")
        self._for_transaction(original, lambda environment, number: self._api.set_owner(environment, number, token))

    def _answer(self, theirs: str, report: Consumption) -> None:
        """Without consent Apple must be told nothing; after 12 hours it listens no more."""
        if not (report.consented and self._answer_refund_questions):
            return
        if self._clock.now() - report.asked_at > ANSWER_WITHIN:
            raise Declined("the 12 hours for the answer are over")
        body = consumption_body(report, is_subscription=not is_id(theirs))
        self._for_transaction(theirs, lambda environment, number: self._api.send_consumption(environment, number, body))

    def _for_transaction(self, theirs: str, send: Callable[[Environment, str], None]) -> None:
        """Send to the environment that knows the purchase."""

        def attempt(environment: Environment) -> bool:
            number = self._questions.transaction_id(environment, theirs)
            if number is None:
                raise NotKnown
            send(environment, number)
            return True

        if not self._api.first_known(attempt):
            raise Declined("the store knows no such purchase", code="4040010")


def consumption_body(report: Consumption, *, is_subscription: bool) -> dict[str, Any]:
    """ConsumptionRequest, version 2. What was not delivered was not consumed either: Apple refuses another figure. A
    subscription has no percentage; its share of time is Apple's to compute. A prorated refund of nothing used is full.
    """
    share = report.consumed_share if report.delivery == "delivered" else 0
    body: dict[str, Any] = {
        "customerConsented": True,
        "sampleContentProvided": report.sample_provided,
        "deliveryStatus": _DELIVERY[report.delivery],
    }
    if not is_subscription:
        body["consumptionPercentage"] = share
    if report.wish is not None:
        is_whole = report.wish == "grant_prorated" and not is_subscription and share == 0
        body["refundPreference"] = "GRANT_FULL" if is_whole else _WISH[report.wish]
    return body


def _parsed(report: Mapping[str, Any]) -> Delivered | Owner | Consumption:
    try:
        return _REPORTS.validate_python(dict(report))
    except ValidationError as error:
        names = ", ".join(sorted({".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False)}))
        raise Declined(f"not a report that can be sent: {names or 'about'}") from None
