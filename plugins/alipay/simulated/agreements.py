"""The simulated Alipay's agreements: who has signed what, the plan of deductions, and how each of them ends.

The words here are the provider's own. Amounts are whole fen; times are aware UTC; dates are Beijing's.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from plugins.alipay.agreements import DAYS_BEFORE_PLAN, LAST_PLANNED_DAY, SHORTEST_PERIOD_DAYS
from plugins.alipay.formats import BEIJING, beijing_day, beijing_text, yuan
from plugins.alipay.mapping import NO_END
from plugins.alipay.simulated.trades import BUYER_ID, BUYER_LOGON, BusinessFailure

NORMAL, STOP = "NORMAL", "STOP"
_sequence = itertools.count(1)


@dataclass(frozen=True, slots=True)
class PeriodRule:
    unit: str
    """`DAY` or `MONTH`."""
    count: int
    first: date
    single_fen: int


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """An agreement as the merchant's signed request describes it. It is none before a payer signs."""

    external_no: str
    product_code: str
    personal_product_code: str
    sign_scene: str
    channel: str
    rule: PeriodRule | None
    notify_url: str


@dataclass(slots=True)
class Agreement:
    agreement_no: str
    request: SigningRequest
    signed_at: datetime
    planned: date | None
    """The date of the next deduction; None where the contract keeps no plan."""
    valid_until: datetime | None = None
    status: str = NORMAL
    ended_at: datetime | None = None
    last_deduction: date | None = None


@dataclass(slots=True)
class AgreementBook:
    """All agreements of one merchant. Safe to use from several threads; every change is atomic."""

    now: Callable[[], datetime]
    tell: Callable[[Agreement, str], None] = lambda agreement, url: None
    """Sends the notice of how the agreement stands now to an address; an empty one means the application gateway."""
    forgets_the_ended: bool = False
    """A query of an agreement that is over is answered with USER_AGREEMENT_NOT_EXIST, as some merchants see it."""
    status_words: dict[str, str] = field(default_factory=dict)
    """What a query says instead of the true status, by the merchant's number."""
    _all: dict[str, Agreement] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __iter__(self) -> Iterator[Agreement]:
        with self._lock:
            return iter(list(self._all.values()))

    def sign(self, request: SigningRequest) -> Agreement:
        """The payer agrees. A number of the merchant's that was signed before shows that agreement again."""
        with self._lock:
            for known in self._all.values():
                if known.request.external_no == request.external_no:
                    if self._stands(known):
                        return known
                    raise BusinessFailure("EXTERNAL_AGREEMENT_NO_DUPLICATE")
            now = self.now()
            number = f"{now.astimezone(BEIJING):%Y}5{next(_sequence):015d}"
            made = Agreement(number, request, now, request.rule.first if request.rule else None)
            self._all[number] = made
        self.tell(made, request.notify_url)
        return made

    def find(self, number: str) -> Agreement:
        """By Alipay's number, or the merchant's. Raises USER_AGREEMENT_NOT_EXIST."""
        with self._lock:
            for known in self._all.values():
                if number and number in (known.agreement_no, known.request.external_no):
                    self._stands(known)
                    return known
            raise BusinessFailure("USER_AGREEMENT_NOT_EXIST")

    def end(self, agreement: Agreement, url: str = "") -> None:
        """Ended by the payer in the wallet, who is told to the application gateway alone; or by the merchant's call."""
        with self._lock:
            if not self._stands(agreement):
                raise BusinessFailure("AGREEMENT_HAS_UNSIGNED")
            agreement.status, agreement.ended_at = STOP, self.now()
        self.tell(agreement, url)

    def deducted(self, agreement: Agreement) -> None:
        """A period is paid: the plan moves on by one period."""
        with self._lock:
            agreement.last_deduction = beijing_day(self.now())
            rule = agreement.request.rule
            if rule is not None and agreement.planned is not None:
                agreement.planned = _later(agreement.planned, rule)

    def _stands(self, agreement: Agreement) -> bool:
        """Whether it is in force now. The end of its validity is told to nobody."""
        if agreement.status == NORMAL and agreement.valid_until and agreement.valid_until <= self.now():
            agreement.status = STOP
        return agreement.status == NORMAL

    # --- calls

    def queried(self, business: Mapping[str, Any]) -> dict[str, Any]:
        agreement = self._named(business)
        if agreement.status == STOP and self.forgets_the_ended:
            raise BusinessFailure("USER_AGREEMENT_NOT_EXIST")
        until = beijing_text(agreement.valid_until) if agreement.valid_until else NO_END
        content: dict[str, Any] = {
            "agreement_no": agreement.agreement_no,
            "external_agreement_no": agreement.request.external_no,
            "personal_product_code": agreement.request.personal_product_code,
            "sign_scene": agreement.request.sign_scene,
            "principal_id": BUYER_ID,
            "alipay_logon_id": BUYER_LOGON,
            "status": self.status_words.get(agreement.request.external_no, agreement.status),
            "sign_time": beijing_text(agreement.signed_at),
            "valid_time": beijing_text(agreement.signed_at),
            "invalid_time": until,
        }
        if agreement.planned:
            content["next_deduct_time"] = agreement.planned.isoformat()
        if agreement.last_deduction:
            content["last_deduct_time"] = agreement.last_deduction.isoformat()
        return content

    def unsigned(self, business: Mapping[str, Any], notify_url: str) -> dict[str, Any]:
        self.end(self._named(business), notify_url)
        return {}

    def plan_moved(self, business: Mapping[str, Any]) -> dict[str, Any]:
        agreement = self._named(business)
        day, rule = date.fromisoformat(str(business.get("deduct_time", ""))), agreement.request.rule
        if rule is None or agreement.planned is None or day <= agreement.planned:
            raise BusinessFailure("EXECUTION_PLAN_DATE_ERROR")
        if rule.unit == "MONTH" and day.day > LAST_PLANNED_DAY:
            raise BusinessFailure("EXECUTION_PLAN_DATE_ERROR")
        agreement.planned = day
        return {"agreement_no": agreement.agreement_no, "deduct_time": day.isoformat()}

    def _named(self, business: Mapping[str, Any]) -> Agreement:
        """The merchant's number names an agreement only together with what it was signed under."""
        theirs, ours = str(business.get("agreement_no", "")), str(business.get("external_agreement_no", ""))
        agreement = self.find(theirs or ours)
        request = agreement.request
        signed_under = (business.get("personal_product_code"), business.get("sign_scene"))
        if not theirs and signed_under != (request.personal_product_code, request.sign_scene):
            raise BusinessFailure("USER_AGREEMENT_NOT_EXIST")
        return agreement


def allows_today(agreement: Agreement, today: date) -> bool:
    """Within the five days before the planned date, or on it."""
    planned = agreement.planned
    return planned is None or planned - timedelta(days=DAYS_BEFORE_PLAN) <= today <= planned


def signing_request(business: Mapping[str, Any], notify_url: str) -> SigningRequest:
    """Reads what a request says about signing. Raises BusinessFailure for what Alipay would not take."""
    try:
        rule = business.get("period_rule_params")
        request = SigningRequest(
            external_no=str(business["external_agreement_no"]),
            product_code=str(business["product_code"]),
            personal_product_code=str(business["personal_product_code"]),
            sign_scene=str(business["sign_scene"]),
            channel=str(business["access_params"]["channel"]),
            rule=_rule(rule) if rule is not None else None,
            notify_url=notify_url,
        )
    except (KeyError, TypeError, ValueError):
        raise BusinessFailure("INVALID_PARAMETER") from None
    number = request.external_no
    needs_rule = request.personal_product_code == "CYCLE_PAY_AUTH_P"
    if not (number.isalnum() and len(number) <= 32) or request.sign_scene == "DEFAULT|DEFAULT":
        raise BusinessFailure("INVALID_PARAMETER")
    if needs_rule != (request.rule is not None) or request.channel not in ("ALIPAYAPP", "QRCODE", "QRCODEORSMS"):
        raise BusinessFailure("INVALID_PARAMETER")
    return request


def _rule(asked: Mapping[str, Any]) -> PeriodRule:
    rule = PeriodRule(
        unit=str(asked["period_type"]),
        count=int(asked["period"]),
        first=date.fromisoformat(asked["execute_time"]),
        single_fen=yuan(asked["single_amount"]).minor,
    )
    short = rule.unit == "DAY" and rule.count < SHORTEST_PERIOD_DAYS
    late = rule.unit == "MONTH" and rule.first.day > LAST_PLANNED_DAY
    if rule.unit not in ("DAY", "MONTH") or short or late or rule.count < 1:
        raise ValueError("period_rule_params")
    return rule


def _later(day: date, rule: PeriodRule) -> date:
    if rule.unit == "DAY":
        return day + timedelta(days=rule.count)
    months = day.month - 1 + rule.count
    return day.replace(year=day.year + months // 12, month=months % 12 + 1)


def agreement_notice(agreement: Agreement) -> dict[str, str]:
    """What a notice says of the agreement: signed, or ended. It has no field of a trade, and names no payee."""
    request = agreement.request
    fields = {
        "agreement_no": agreement.agreement_no,
        "external_agreement_no": request.external_no,
        "personal_product_code": request.personal_product_code,
        "sign_scene": request.sign_scene,
        "alipay_user_id": BUYER_ID,
        "alipay_logon_id": BUYER_LOGON,
    }
    if agreement.ended_at:
        ended = {"notify_type": "dut_user_unsign", "status": "UNSIGN", "unsign_time": beijing_text(agreement.ended_at)}
        return fields | ended
    until = beijing_text(agreement.valid_until) if agreement.valid_until else NO_END
    signed = beijing_text(agreement.signed_at)
    times = {"sign_time": signed, "valid_time": signed, "invalid_time": until}
    return fields | {"notify_type": "dut_user_sign", "status": NORMAL} | times
