"""What the simulated WeChat Pay knows of auto-debit contracts, alike for both generations."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from plugins.wechat.simulated.books import Now, Refused

USUAL_VALIDITY = timedelta(days=20 * 365)
DEDUCTION_LIFE = timedelta(days=7)
SINGLE_LIMIT = 50000
"""Fen of one deduction, by default (papay FAQ Q9)."""
OPENID = "oUpF8uMEb4qRXf22hE3X68TekukE"
BY_TIME, BY_PAYER, BY_CALL = "1", "2", "3"


@dataclass(frozen=True, slots=True)
class Signing:
    """A contract as the merchant asked for it. It is none before a payer signs."""

    generation: str
    plan_id: str
    code: str
    serial: str
    display: str
    notify_url: str


@dataclass(slots=True)
class Contract:
    contract_id: str
    signing: Signing
    signed_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    mode: str = ""
    """`contract_termination_mode`."""


@dataclass(slots=True)
class Contracts:
    now: Now
    prepared: dict[str, Signing] = field(default_factory=dict)
    """What a session number of a pre-signing stands for."""
    forgets_the_ended: bool = False
    """A question about a contract that is over is answered as if there had been none."""
    state_words: dict[str, str] = field(default_factory=dict)
    """What an answer says instead of the true state, by the merchant's code."""
    _all: dict[str, Contract] = field(default_factory=dict)
    _serial: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __iter__(self) -> itertools.chain[Contract]:
        return itertools.chain(list(self._all.values()))

    def prepare(self, signing: Signing) -> str:
        session = secrets.token_hex(16)
        self.prepared[session] = signing
        return session

    def is_taken(self, signing: Signing) -> bool:
        return any((each.signing.plan_id, each.signing.code) == (signing.plan_id, signing.code) for each in self)

    def sign(self, signing: Signing) -> Contract:
        """The payer agrees. A code that was used shows its contract again while that stands, and never another."""
        for known in self:
            if (known.signing.plan_id, known.signing.code) == (signing.plan_id, signing.code):
                if self.stands(known):
                    return known
                raise Refused(400, "INVALID_REQUEST", "签约协议号重复")
        now = self.now()
        contract_id = f"Wx{now:%Y%m%d}{next(self._serial):018d}"
        made = Contract(contract_id, signing, now, now.replace(microsecond=0) + USUAL_VALIDITY)
        self._all[contract_id] = made
        return made

    def find(self, number: str, plan_id: str = "") -> Contract:
        """By WeChat Pay's number, or by the merchant's code (with its template, where one is given)."""
        for known in self:
            by_code = number == known.signing.code and plan_id in ("", known.signing.plan_id)
            if number and (number == known.contract_id or by_code):
                if not self.stands(known) and self.forgets_the_ended:
                    break
                return known
        raise Refused(404, "CONTRACT_NOT_EXIST", "签约协议不存在")

    def stands(self, contract: Contract) -> bool:
        """Whether it is in force now. Nobody is told that its validity is over."""
        if contract.ended_at is None and contract.expires_at <= self.now():
            contract.ended_at, contract.mode = contract.expires_at, BY_TIME
        return contract.ended_at is None

    def end(self, contract: Contract, mode: str) -> None:
        if not self.stands(contract):
            raise Refused(400, "CONTRACT_TERMINATED", "签约协议已解约")
        contract.ended_at, contract.mode = self.now(), mode
