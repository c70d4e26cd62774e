"""The settings of finance: the table `[finance]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.domain.chart import CHART, LONGEST_NUMBER, LONGEST_TITLE, FinanceRules, OwnAccount, chart_account
from app.recognition_settings import RecognitionSettings


class OwnAccountSettings(BaseModel):
    """What the company's general ledger calls an account."""

    model_config = ConfigDict(extra="forbid")

    number: str = Field(default="", max_length=LONGEST_NUMBER)
    name: str = Field(default="", max_length=LONGEST_TITLE)


class FinanceSettings(RecognitionSettings):
    """Journal entries by hand, the export to the general ledger, and when revenue is recognised."""

    alone_up_to_minor: int = Field(default=0, ge=0, le=2**63 - 1)
    """A journal entry above that needs a second person, in minor units of its currency; write-offs always do."""
    accounts: dict[str, OwnAccountSettings] = Field(default_factory=dict)
    """By code, as "clearing:shop"; "clearing:*" is for all provider accounts without one of their own."""

    @field_validator("accounts")
    @classmethod
    def _known(cls, accounts: dict[str, OwnAccountSettings]) -> dict[str, OwnAccountSettings]:
        codes = {account.code for account in CHART}
        for code in accounts:
            if code not in codes and chart_account(code) is None:
                raise ValueError("not an account of the chart: see docs/ledger.md")
        return accounts

    def rules(self) -> FinanceRules:
        own = {code: OwnAccount(one.number, one.name) for code, one in self.accounts.items()}
        return FinanceRules(self.alone_up_to_minor, own)
