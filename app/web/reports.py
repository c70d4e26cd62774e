"""Figures about the whole house, for the app's backend only: no user's token has the scope."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import accumulate
from typing import Annotated, Any, Literal

from apiflask import APIBlueprint
from pydantic import AfterValidator, Field

from app.domain.accounting_time import Basis, NotATime, moment_given
from app.domain.trial_balance import TrialBalance, TrialSheet, as_json
from app.services.base.context import Tx
from app.services.base.errors import DomainError
from app.services.finance.accounting_periods import balance_by, moved_by
from app.web.access import needs
from app.web.context import core
from app.web.fields import MOMENT_WRITTEN, Asset, At, Environment, ShownAsset
from app.web.schemas import EmptyTimeSpan, In, Out

MOST_DAYS = 4
"""At most this many days without a checkpoint are added up for one request. Two are always there: a day is closed a day
after its end. With more than four the worker is far behind."""
MOST_LINES = 1000

blueprint = APIBlueprint("reports", __name__, url_prefix="/v1", tag="Reports")


_MOMENT = MOMENT_WRITTEN.pattern.strip("^$")
_WHEN = re.compile(f"({_MOMENT}|{_MOMENT.partition('T')[0]})")


class NoSuchDay(DomainError):
    """Written as a date or a moment is, and there is none."""

    code = "no_such_day"


def _is_when(text: str) -> str:
    """Written like a date or a moment."""
    if not _WHEN.fullmatch(text):
        raise ValueError("neither a date nor a moment as RFC 3339 writes it")
    return text


def moment_asked(text: str, *, is_end: bool) -> datetime:
    """What a `When` means in the configured zone. Raises NoSuchDay."""
    try:
        return moment_given(text, core().rules.ledger.zone, is_end=is_end)
    except NotATime as error:
        raise NoSuchDay(str(error)) from None


When = Annotated[
    str,
    AfterValidator(_is_when),
    Field(json_schema_extra={"pattern": f"^{_WHEN.pattern}$"}, examples=["2026-11-28"]),
]


class TrialBalanceQuery(In):
    at: When | None = Field(
        default=None,
        description="Everything up to that moment, or to the end of that day; at present, if not given.",
        examples=["2026-11-28T09:30:00Z"],
    )
    since: When | None = Field(
        default=None,
        description="Only what moved from that moment, or from the beginning of that day, on up to `at`.",
        examples=["2026-11-01"],
    )
    by: Basis = Field(
        default=Basis.EFFECTIVE,
        description="`effective`: when it happened, in a closed month what was closed. `booking`: when it was booked.",
        examples=["effective"],
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
    now = core().clock.now()
    at = None if query.at is None else moment_asked(query.at, is_end=True)
    since = None if query.since is None else moment_asked(query.since, is_end=False)
    if since is not None and since > (at or now):
        raise EmptyTimeSpan

    def drawn_up(tx: Tx) -> TrialBalance:
        if since is None:
            return balance_by(tx, query.by, now=now, at=at, most_days=MOST_DAYS)
        return moved_by(tx, query.by, now=now, since=since, until=at, most_days=MOST_DAYS)

    found = core().for_reports().whole.read(drawn_up, snapshot=True)
    sheets = [sheet for sheet in found.sheets if query.asset in (None, sheet.asset)]
    shown = [as_json(sheet) for sheet in _as_many_as_fit(sheets)]
    return {"at": found.at, "balanced": found.balanced, "sheets": shown, "left_out": len(sheets) - len(shown)}


def _as_many_as_fit(sheets: list[TrialSheet]) -> list[TrialSheet]:
    """Whole sheets, up to MOST_LINES together; at least one."""
    lines = list(accumulate(len(sheet.lines) for sheet in sheets))
    return [sheet for number, sheet in enumerate(sheets) if number == 0 or lines[number] <= MOST_LINES]
