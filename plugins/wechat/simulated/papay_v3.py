"""Auto-debit of the simulated API v3: contracts, announced deductions, and the word on them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from plugins.wechat.documents import BEIJING
from plugins.wechat.simulated.books import CURRENCY, Books, Now, Order, Refused
from plugins.wechat.simulated.contracts import (
    BY_CALL,
    DEDUCTION_LIFE,
    OPENID,
    SINGLE_LIMIT,
    Contract,
    Contracts,
    Signing,
)
from plugins.wechat.simulated.exchange import Asked
from plugins.wechat.simulated.keys import SimulatorConfig
from plugins.wechat.v3.contracts import PRE_SIGNING

Route = tuple[str, re.Pattern[str], Callable[..., Mapping[str, Any] | None]]
CONTRACT = r"/v3/papay/sign/contracts/plan-id/([0-9]+)/out-contract-code/([0-9A-Za-z]+)"
WORDS = {
    "1": "OVERDUE_TERMINATE",
    "2": "USER_TERMINATE",
    "3": "MERCHANT_API_TERMINATE",
    "4": "MERCHANT_PLATFORM_TERMINATE",
    "5": "USER_ACCOUNT_TERMINATE",
}
NEEDS_NO_NOTICE = timedelta(hours=12)
"""So long after its signing a contract's deduction needs no announcement."""
WAIT_DAYS, WINDOW_DAYS = 2, 3


@dataclass(frozen=True, slots=True)
class Announcement:
    fen: int
    first: date
    last: date


class PapayV3:
    """`refusals` are codes with which the next deductions are refused at once, in order."""

    def __init__(self, config: SimulatorConfig, books: Books, contracts: Contracts, now: Now, public_url: str) -> None:
        self._config = config
        self._books = books
        self._contracts = contracts
        self._now = now
        self._public_url = public_url
        self.refusals: list[str] = []
        self.announced: dict[str, Announcement] = {}
        """The last announcement for each contract."""
        self.routes: list[Route] = [
            ("POST", re.compile(rf"{PRE_SIGNING}/(app|jsapi|h5|mini-program)"), self._prepare),
            ("GET", re.compile(CONTRACT), self._query),
            ("POST", re.compile(rf"{CONTRACT}/terminate"), self._end),
            ("POST", re.compile(r"/v3/papay/pay/schedules/contract-id/([0-9A-Za-z]+)/schedule"), self._schedule),
            ("POST", re.compile(r"/v3/papay/contracts/([0-9A-Za-z]+)/notify"), self._notice),
            ("POST", re.compile(r"/v3/papay/pay/transactions/apply"), self._apply),
        ]

    # --- signing

    def _prepare(self, asked: Asked, product: str) -> Mapping[str, Any]:
        request = _document(asked.body)
        signing = self._signing(request, "out_contract_code", type(request.get("plan_id")) is int)
        session = self._contracts.prepare(signing)
        if product in ("jsapi", "h5"):
            return {"redirect_url": f"{self._public_url}/_sign/papay?prepared={session}"}
        if product == "app":
            return {"pre_entrustweb_id": session}
        path = "pages/PwdExemptContract/index"
        return {"pre_entrustweb_id": session, "redirect_appid": "wxbd687630cd02ce1d", "redirect_path": path}

    def signing_with_order(self, request: Mapping[str, Any]) -> Signing | None:
        """The contract in an order; None where it cannot be signed."""
        contract = request.get("contract_info")
        if not isinstance(contract, dict) or not str(contract.get("request_serial", "")).isdecimal():
            raise Refused(400, "PARAM_ERROR", "contract_info")
        parties = {"appid": contract.get("contract_appid"), "mchid": contract.get("contract_mchid")}
        if parties != {"appid": self._config.appid, "mchid": self._config.mchid}:
            raise Refused(400, "PARAM_ERROR", "contract_mchid, contract_appid")
        signing = self._signing({**contract, **parties}, "contract_code", isinstance(contract.get("plan_id"), str))
        return None if self._contracts.is_taken(signing) else signing

    def _signing(self, request: Mapping[str, Any], code_name: str, plan_has_its_type: bool) -> Signing:
        names = (code_name, "contract_display_account", "contract_notify_url")
        lacking = [name for name in names if not request.get(name)]
        plan = str(request.get("plan_id", ""))
        if lacking or not plan_has_its_type or plan not in self._config.plan_ids:
            raise Refused(400, "PARAM_ERROR", ", ".join(lacking) or "plan_id")
        if request.get("appid") != self._config.appid:
            raise Refused(400, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配")
        code = request[code_name]
        if not (code.isalnum() and len(code) <= 32) or "?" in request["contract_notify_url"]:
            raise Refused(400, "PARAM_ERROR", code_name)
        serial = str(request.get("request_serial", ""))
        return Signing("v3", plan, code, serial, request["contract_display_account"], request["contract_notify_url"])

    # --- contracts

    def _query(self, _: Asked, plan: str, code: str) -> Mapping[str, Any]:
        return self.shown(self._contracts.find(code, plan))

    def _end(self, asked: Asked, plan: str, code: str) -> Mapping[str, Any]:
        if not _document(asked.body).get("contract_termination_remark"):
            raise Refused(400, "PARAM_ERROR", "contract_termination_remark")
        contract = self._contracts.find(code, plan)
        self._contracts.end(contract, BY_CALL)
        return self.shown(contract)

    def shown(self, contract: Contract) -> dict[str, Any]:
        """The contract as answers and notifications show it: without attach."""
        document: dict[str, Any] = {
            "mchid": self._config.mchid,
            "appid": self._config.appid,
            "contract_id": contract.contract_id,
            "plan_id": int(contract.signing.plan_id),
            "out_contract_code": contract.signing.code,
            "contract_display_account": contract.signing.display,
            "contract_state": self._contracts.state_words.get(
                contract.signing.code, "TERMINATED" if contract.ended_at else "SIGNED"
            ),
            "contract_signed_time": _time(contract.signed_at),
            "contract_expired_time": _time(contract.expires_at),
            "openid": OPENID,
        }
        if contract.ended_at:
            document["contract_terminate_info"] = {
                "contract_termination_mode": WORDS[contract.mode],
                "contract_terminated_time": _time(contract.ended_at),
            }
        return document

    # --- deductions

    def _schedule(self, asked: Asked, contract_id: str) -> Mapping[str, Any]:
        request = _document(asked.body)
        made = self._announce(contract_id, request.get("appid"), _fen(request.get("schedule_amount"), "total"))
        return {
            "schedule_state": "SCHEDULED",
            "deduct_start_date": made.first.isoformat(),
            "deduct_end_date": made.last.isoformat(),
            "scheduled_amount": {"total": made.fen, "currency": CURRENCY},
        }

    def _notice(self, asked: Asked, contract_id: str) -> None:
        request = _document(asked.body)
        if request.get("mchid") != self._config.mchid or request.get("deduct_duration", {}).get("unit") != "DAY":
            raise Refused(400, "PARAM_ERROR", "mchid, deduct_duration")
        self._announce(contract_id, request.get("appid"), _fen(request.get("estimated_amount"), "amount"))

    def _announce(self, contract_id: str, appid: object, fen: int) -> Announcement:
        """What was announced already is not announced again."""
        contract = self._standing(contract_id)
        if appid != self._config.appid:
            raise Refused(400, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配")
        today = self._today()
        known = self.announced.get(contract.contract_id)
        if known and known.fen == fen and today <= known.last:
            return known
        first = today + timedelta(days=WAIT_DAYS)
        made = Announcement(fen, first, first + timedelta(days=WINDOW_DAYS))
        self.announced[contract.contract_id] = made
        return made

    def _apply(self, asked: Asked) -> Mapping[str, Any]:
        """Accepts a deduction, no more. The same number with the same request is the same deduction."""
        request = _document(asked.body)
        contract = self._standing(str(request.get("contract_id", "")))
        fen, number = _fen(request.get("amount"), "total"), str(request.get("out_trade_no", ""))
        known = self._books.orders.get(number)
        if known is None:
            self._check(contract, fen)
        elif known.state in ("SUCCESS", "CLOSED", "PAYERROR"):
            raise Refused(400, "ORDERPAID" if known.state == "SUCCESS" else "ORDER_CLOSED", "订单不可支付")
        order = self._books.place(
            Order(
                number=number,
                generation="v3",
                trade_type="PAP",
                total=fen,
                openid=OPENID,
                attach=request.get("attach", ""),
                notify_url=request["transaction_notify_url"],
                expires_at=known.expires_at if known else self._now() + DEDUCTION_LIFE,
                prepay_id="",
                request=request,
                contract_id=contract.contract_id,
            )
        )
        order.state = "ACCEPT"
        return {"out_trade_no": number, "amount": {"total": fen, "currency": CURRENCY}}

    def _check(self, contract: Contract, fen: int) -> None:
        if self.refusals and (code := self.refusals.pop(0)):
            raise Refused(403, code, "…")
        if fen > SINGLE_LIMIT:
            raise Refused(403, "RULE_LIMIT", "单笔限额")
        if self._now() - contract.signed_at <= NEEDS_NO_NOTICE:
            return
        plan = self.announced.get(contract.contract_id)
        if plan is None or plan.fen != fen or not plan.first <= self._today() <= plan.last:
            raise Refused(400, "INVALID_REQUEST", "未预约扣费或不在可扣费期内")

    def taken(self, contract_id: str) -> None:
        """Its deduction has succeeded. One that failed may be tried again on the announced days: a schedule is
        SCHEDULED until it is PAID or EXPIRED."""
        self.announced.pop(contract_id, None)

    def _standing(self, contract_id: str) -> Contract:
        contract = self._contracts.find(contract_id)
        if not self._contracts.stands(contract):
            raise Refused(400, "CONTRACT_TERMINATED", "签约协议已解约")
        return contract

    def _today(self) -> date:
        return self._now().astimezone(BEIJING).date()


def _fen(amount: object, name: str) -> int:
    if not isinstance(amount, dict) or type(amount.get(name)) is not int or amount[name] < 1:
        raise Refused(400, "PARAM_ERROR", name)
    return int(amount[name])


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Refused(400, "PARAM_ERROR", "not a JSON object")
    return document


def _time(moment: datetime) -> str:
    return moment.astimezone(BEIJING).isoformat(timespec="seconds")
