"""Auto-debit of the simulated API v2: contracts and deductions, strict about parameters as WeChat Pay is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from plugins.wechat.documents import BEIJING
from plugins.wechat.simulated.books import Books, Now, Order, Refused
from plugins.wechat.simulated.contracts import (
    BY_CALL,
    DEDUCTION_LIFE,
    OPENID,
    SINGLE_LIMIT,
    Contract,
    Contracts,
    Signing,
)
from plugins.wechat.simulated.keys import SimulatorConfig
from plugins.wechat.v2.contracts import ASKED, COMMON
from plugins.wechat.v2.signing import SignType, V2Key

Handler = Callable[[Mapping[str, str]], dict[str, str]]
PARAMETERS = {name: {"appid", "mch_id", "sign", *fields} for name, fields in ASKED.items()}
"""Every parameter of each way of signing."""


class PapayV2:
    """`refusals` are codes with which the next deductions are refused at once, in order."""

    def __init__(self, config: SimulatorConfig, books: Books, contracts: Contracts, now: Now) -> None:
        self._config = config
        self._books = books
        self._contracts = contracts
        self._now = now
        self._key = V2Key(config.api_key)
        self.refusals: list[str] = []
        self.told: Callable[[Order], dict[str, str]] = _nothing
        """What the question about a deduction is answered with; the front says."""
        self.handlers: dict[str, Handler] = {
            "/papay/preentrustweb": self._prepare,
            "/papay/querycontract": self._query,
            "/papay/deletecontract": self._end,
            "/pay/pappayapply": self._apply,
            "/pay/paporderquery": self._query_deduction,
        }

    # --- signing

    def signing(self, fields: Mapping[str, str], way: str) -> Signing:
        """What a page or the mini-program of WeChat Pay reads out of signed parameters. One too many is refused."""
        sign_type: SignType = "HMAC-SHA256" if way == "h5" else "MD5"
        if set(fields) != PARAMETERS[way]:
            raise Refused(400, "PARAM_ERROR", "参数构造错误")
        if not self._key.verify(fields, sign_type):
            raise Refused(400, "SIGN_ERROR", "签名错误")
        return self._signing(fields, fields["notify_url"])

    def browser_address(self, query: Mapping[str, str], public_url: str) -> dict[str, str]:
        """`h5entrustweb`: unsigned, as at WeChat Pay."""
        try:
            session = self._contracts.prepare(self.signing(query, "h5"))
        except Refused as refused:
            return {"return_code": "SUCCESS", "result_code": "FAIL", "result_msg": refused.code}
        redirect = f"{public_url}/_sign/papay?prepared={session}"
        return {"return_code": "SUCCESS", "result_code": "SUCCESS", "redirect_url": redirect}

    def signing_with_order(self, fields: Mapping[str, str]) -> tuple[Signing | None, dict[str, str]]:
        """The contract in `contractorder`, or why there is none."""
        signing = self._signing(fields, fields.get("contract_notify_url", ""))
        if (fields.get("contract_mchid"), fields.get("contract_appid")) != (self._config.mchid, self._config.appid):
            raise Refused(400, "PARAM_ERROR", "contract_mchid, contract_appid")
        if self._contracts.is_taken(signing):
            return None, {"contract_result_code": "FAIL", "contract_err_code": "CONTRACT_EXISTED"}
        return signing, {}

    def _signing(self, fields: Mapping[str, str], notify_url: str) -> Signing:
        lacking = [name for name in COMMON[:4] if not fields.get(name)]
        code = fields.get("contract_code", "")
        if lacking or not notify_url or not (code.isalnum() and len(code) <= 32):
            raise Refused(400, "PARAM_ERROR", ", ".join(lacking) or "contract_code")
        if not (fields["request_serial"].isdecimal() and len(fields["request_serial"]) <= 12):
            raise Refused(400, "PARAM_ERROR", "request_serial")
        if fields["plan_id"] not in self._config.plan_ids:
            raise Refused(400, "PARAM_ERROR", "plan_id")
        display = fields["contract_display_account"]
        return Signing("v2", fields["plan_id"], code, fields["request_serial"], display, notify_url)

    def _prepare(self, fields: Mapping[str, str]) -> dict[str, str]:
        if set(fields) != PARAMETERS["app"]:
            raise Refused(400, "PARAM_ERROR", "参数构造错误")
        return {"pre_entrustweb_id": self._contracts.prepare(self._signing(fields, fields["notify_url"]))}

    # --- contracts

    def _query(self, fields: Mapping[str, str]) -> dict[str, str]:
        contract = self._named(fields, "version")
        return self._shown(contract) | {
            "contract_state": self._contracts.state_words.get(contract.signing.code, "1" if contract.ended_at else "0"),
            "contract_signed_time": _time(contract.signed_at),
            **({"contract_terminated_time": _time(contract.ended_at)} if contract.ended_at else {}),
        }

    def _end(self, fields: Mapping[str, str]) -> dict[str, str]:
        contract = self._named(fields, "version", "contract_termination_remark")
        self._contracts.end(contract, BY_CALL)
        return {name: self._shown(contract)[name] for name in ("contract_id", "plan_id", "contract_code")}

    def _named(self, fields: Mapping[str, str], *besides: str) -> Contract:
        names = {"contract_id"} if "contract_id" in fields else {"plan_id", "contract_code"}
        if set(fields) != {"appid", "mch_id", "sign", *names, *besides}:
            raise Refused(400, "PARAM_ERROR", "参数构造错误")
        if "contract_id" in fields:
            return self._contracts.find(fields["contract_id"])
        return self._contracts.find(fields["contract_code"], fields["plan_id"])

    def _shown(self, contract: Contract) -> dict[str, str]:
        fields = {
            "contract_id": contract.contract_id,
            "plan_id": contract.signing.plan_id,
            "contract_code": contract.signing.code,
            "request_serial": contract.signing.serial,
            "contract_display_account": contract.signing.display,
            "openid": OPENID,
            "contract_expired_time": _time(contract.expires_at),
        }
        return fields | ({"contract_termination_mode": contract.mode} if contract.ended_at else {})

    def notified(self, contract: Contract) -> dict[str, str]:
        """The notification of how a contract stands: without appid, nonce and attach."""
        shown = self._shown(contract)
        del shown["contract_display_account"]
        return {
            "return_code": "SUCCESS",
            "result_code": "SUCCESS",
            "mch_id": self._config.mchid,
            "change_type": "DELETE" if contract.ended_at else "ADD",
            "operate_time": _time(contract.ended_at or contract.signed_at),
            **shown,
        }

    # --- deductions

    def _apply(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Accepts a deduction, no more. The same number with the same request is the same deduction."""
        contract = self._contracts.find(fields.get("contract_id", ""))
        if not self._contracts.stands(contract):
            raise Refused(400, "CONTRACT_TERMINATED", "签约协议已解约")
        known = self._books.orders.get(fields["out_trade_no"])
        if known is None:
            self._check(fields)
        elif known.state in ("SUCCESS", "CLOSED", "PAYERROR"):
            raise Refused(400, "ORDERPAID" if known.state == "SUCCESS" else "ORDERCLOSED", "订单不可支付")
        order = self._books.place(
            Order(
                number=fields["out_trade_no"],
                generation="v2",
                trade_type="PAP",
                total=int(fields["total_fee"]),
                openid=OPENID,
                attach=fields.get("attach", ""),
                notify_url=fields["notify_url"],
                expires_at=known.expires_at if known else self._now() + DEDUCTION_LIFE,
                prepay_id="",
                request={name: value for name, value in fields.items() if name not in ("sign", "nonce_str")},
                sign_type="MD5",
                contract_id=contract.contract_id,
            )
        )
        order.state = "ACCEPT"
        return {}

    def _check(self, fields: Mapping[str, str]) -> None:
        if fields.get("trade_type") != "PAP" or not fields.get("nonce_str"):
            raise Refused(400, "PARAM_ERROR", "trade_type, nonce_str")
        if self.refusals and (code := self.refusals.pop(0)):
            raise Refused(400, code, "…")
        if int(fields["total_fee"]) > SINGLE_LIMIT:
            raise Refused(400, "RULELIMIT", "单笔限额")

    def _query_deduction(self, fields: Mapping[str, str]) -> dict[str, str]:
        if fields.get("transaction_id"):
            order = self._books.find_transaction(fields["transaction_id"])
        else:
            order = self._books.find(fields.get("out_trade_no", ""))
        if not order.contract_id:
            raise Refused(404, "ORDER_NOT_EXIST", "订单不存在")
        return self.told(order)


def _nothing(_: Order) -> dict[str, str]:
    return {}


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"
