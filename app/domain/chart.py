"""The chart of accounts for money: what each account of the house is, and on which side it grows.

In the ledger a balance is credits less debits. Finance reads assets and expenses the other way round, so a report turns
their signs (`Nature.normal`). Coins are another asset and stand outside this chart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

HOUSE_SLOT = 0
"""Where transfers lie that belong to no user: what bills say, journal entries, what is worked out for a day."""
PER_ACCOUNT = ":"
"""Stands between the code of an account and the provider account that it is of."""
LONGEST_NUMBER = 32
LONGEST_TITLE = 80


class Nature(StrEnum):
    """The type of an account."""

    ASSET = "asset"
    LIABILITY = "liability"
    REVENUE = "revenue"
    EXPENSE = "expense"
    EQUITY = "equity"
    """What was there when the books began."""

    @property
    def grows_by_debit(self) -> bool:
        return self in (Nature.ASSET, Nature.EXPENSE)

    def normal(self, balance: int) -> int:
        """The ledger's balance with the sign that finance reads: positive on the side on which the account grows."""
        return -balance if self.grows_by_debit else balance


@dataclass(frozen=True, slots=True)
class ChartAccount:
    """One account, or one for each provider account (`clearing:*`)."""

    code: str
    nature: Nature
    title: str
    title_zh: str
    by_hand: bool = False
    """Whether journal entries may use it. Where the ledger is tied to lots or to facts, no entry by hand may."""


CHART = tuple(
    ChartAccount(*row)
    for row in (
        ("clearing:*", Nature.ASSET, "Receivable from the provider", "应收账款（支付渠道）", True),
        ("bank:*", Nature.ASSET, "Paid out to the bank", "银行存款（渠道提现）", True),
        ("sales", Nature.LIABILITY, "Contract liability", "合同负债"),
        ("surplus", Nature.LIABILITY, "Money paid twice", "其他应付款（重复支付）", True),
        ("suspense", Nature.LIABILITY, "Money that waits for a decision", "其他应付款（待处理）", True),
        ("adjustments:*", Nature.LIABILITY, "Corrections by the provider", "其他应付款（渠道调账）", True),
        ("others:*", Nature.LIABILITY, "Money of other systems", "其他应付款（其他系统）", True),
        ("revenue:earned", Nature.REVENUE, "Revenue by use", "主营业务收入（使用）"),
        ("revenue:breakage", Nature.REVENUE, "Revenue by expiry", "主营业务收入（过期）"),
        ("revenue:other", Nature.REVENUE, "Other revenue", "其他业务收入", True),
        ("fees:*", Nature.EXPENSE, "Fees of the provider", "财务费用（渠道手续费）", True),
        ("discounts:*", Nature.EXPENSE, "Coupons that the merchant paid", "销售费用（商家优惠）", True),
        ("shares:*", Nature.EXPENSE, "Parts passed on to other merchants", "销售费用（分账）", True),
        ("store_share:*", Nature.EXPENSE, "Commission of the store", "销售费用（商店佣金）", True),
        ("store_tax:*", Nature.EXPENSE, "Taxes that the store withheld", "税金及附加（商店代扣）", True),
        ("opening", Nature.EQUITY, "Opening balances", "期初余额", True),
        ("writeoff", Nature.EXPENSE, "Differences that were written off", "营业外支出（核销差异）", True),
    )
)
WRITE_OFF = "writeoff"
"""The account against which differences are written off."""
_BY_CODE = {account.code: account for account in CHART}


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """How this company calls an account in the general ledger to which journals are exported."""

    number: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class FinanceRules:
    """Settings of finance."""

    alone_up_to_minor: int = 0
    """A journal entry of that much (in minor units of its currency) needs no second person. Write-offs always do."""
    own: Mapping[str, OwnAccount] = field(default_factory=dict)
    """Numbers and names of the company's own, by code; `clearing:*` is for all that have none of their own."""


def chart_account(code: str) -> ChartAccount | None:
    """What the account of that code is; None for coins' accounts and unknown codes."""
    if code in _BY_CODE and not code.endswith("*"):
        return _BY_CODE[code]
    kind, colon, of = code.partition(PER_ACCOUNT)
    return _BY_CODE.get(f"{kind}{colon}*") if colon and of and of != "*" else None


def own_account(rules: FinanceRules, code: str) -> OwnAccount:
    """The company's own number and name of an account; empty where it has none."""
    kind, colon, _ = code.partition(PER_ACCOUNT)
    return rules.own.get(code) or rules.own.get(f"{kind}{colon}*") or OwnAccount()
