"""Figures about the whole house, for the app's backend only: no user's token has the scope."""

from __future__ import annotations

from datetime import UTC
from itertools import accumulate
from typing import Annotated, Any, Literal

from apiflask import APIBlueprint
from pydantic import Field

from app.domain.trial_balance import TrialSheet, as_json
from app.services.ledger.trial_balance import trial_balance
from app.web.access import needs
from app.web.context import core
from app.web.fields import Asset, At, Environment, MomentField, ShownAsset
from app.web.schemas import In, Out

MOST_DAYS = 4
"""At most this many days without a checkpoint are added up for one request. Two are always there: a day is closed a day
after its end. With more than four the worker is far behind."""
MOST_LINES = 1000

blueprint = APIBlueprint("reports", __name__, url_prefix="/v1", tag="Reports")


class TrialBalanceQuery(In):
    at: MomentField | None = Field(
        default=None,
        description="Everything booked up to that moment; at present, if not given.",
        examples=["2026-11-28T09:30:00Z"],
    )
    asset: Asset | None = Field(default=None, description="Only this one.")


Whole = Annotated[
    str, Field(description="A whole number of any size, as decimal text.", pattern=r"^-?[0-9]+$", examples=["600"])
]


class TrialLineOut(Out):
    account: str = Field(description="Code of the account.", examples=["sales"])
    owner: Literal["house", "users"] = Field(
        description="`users`: the accounts of that code of all users together.", examples=["house"]
    )
    debits: Whole
    credits: Whole
    balance: Whole


class TrialSheetOut(Out):
    asset: ShownAsset
    environment: Environment
    balanced: bool = Field(description="Debits and credits are alike.", examples=[True])
    debits: Whole
    credits: Whole
    balance: Whole
    lines: list[TrialLineOut] = Field(description="One for each account.")


class TrialBalanceOut(Out):
    at: At = Field(description="What was booked up to and including that moment counts.")
    balanced: bool = Field(description="All sheets sum to zero, those left out as well.", examples=[True])
    sheets: list[TrialSheetOut] = Field(description="By asset and environment.")
    left_out: int = Field(
        description="Sheets that are not shown, for the answer would be too long: ask by `asset`.", examples=[0]
    )


@blueprint.get("/ledger/trial-balance")
@needs("report")
@blueprint.input(TrialBalanceQuery, location="query", arg_name="query")
@blueprint.output(TrialBalanceOut)
def show_trial_balance(query: TrialBalanceQuery) -> Any:
    """What every account of the house, and all users together, gained and lost; it sums to zero by asset."""
    now, at = core().clock.now(), query.at.astimezone(UTC) if query.at else None
    found = core().read(
        lambda session: trial_balance(session, now=now, at=at, most_days=MOST_DAYS),
        snapshot=True,
    )
    sheets = [sheet for sheet in found.sheets if query.asset in (None, sheet.asset)]
    shown = [as_json(sheet) for sheet in _as_many_as_fit(sheets)]
    return {"at": found.at, "balanced": found.balanced, "sheets": shown, "left_out": len(sheets) - len(shown)}


def _as_many_as_fit(sheets: list[TrialSheet]) -> list[TrialSheet]:
    """Whole sheets, up to MOST_LINES together; at least one."""
    lines = list(accumulate(len(sheet.lines) for sheet in sheets))
    return [sheet for number, sheet in enumerate(sheets) if number == 0 or lines[number] <= MOST_LINES]
