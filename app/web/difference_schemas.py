"""What callers get about providers' bills, and about where these and the books disagree."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.domain.bill_lines import BillSide
from app.domain.differences import DifferenceType
from app.services.differences.difference_rows import LONGEST_WORKER_NAME
from app.services.differences.repairs import Repair
from app.web.fields import AccountField, At, Number, Reason, ShownAccount, ShownCurrency
from app.web.schemas import In, ListQuery, NextCursor, Out, TimedListQuery

State = Literal["open", "in_work", "resolved", "matched", "written_off", "gone"]
Minor = Annotated[
    int | None, Field(description="Minor units, negative where money went back; null: nothing.", examples=[600])
]
Theirs = Annotated[str | None, Field(description="The provider's number.", examples=["2026112822001400001"])]


class BillsQuery(ListQuery):
    account: AccountField | None = Field(default=None, description="Only of this provider account.")


class BillOut(Out):
    provider_account: ShownAccount
    feed: str = Field(description="Which kind of bill.", examples=["trade_bill"])
    name: str = Field(description="The document's name.", examples=["2026-11-28.zip"])
    side: BillSide = Field(description="What the bill proves.", examples=["trades"])
    status: Literal["reading", "read", "refused", "replaced"] = Field(
        description="`refused`: the document fails its own checks. `replaced`: a later one of that name counts.",
        examples=["read"],
    )
    problem: str = Field(description="Why it was refused, for people.", examples=[""])
    since: At = Field(description="The beginning of the time that it covers.")
    until: At = Field(description="The end of that time.")
    zone: str = Field(description="The zone of the provider's days.", examples=["Asia/Shanghai"])
    lines: int = Field(description="Rows that were read.", examples=[1200])
    sha256: str = Field(
        description="Of the bytes that are kept.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    read_at: At


class BillsOut(Out):
    bills: list[BillOut] = Field(description="By the time that they cover.")
    next: NextCursor


class DifferencesQuery(TimedListQuery):
    account: AccountField | None = Field(default=None, description="Only of this provider account.")
    type: DifferenceType | None = Field(default=None, description="Only those of this type.", examples=["amount"])
    state: State | Literal["all"] | None = Field(
        default=None, description="If not given, those that are not settled: `open` and `in_work`.", examples=["open"]
    )


class DifferenceOut(Out):
    number: Number
    provider_account: ShownAccount
    side: BillSide = Field(description="Which bills were compared with the books.", examples=["trades"])
    type: DifferenceType = Field(description="Who has what (docs/operating.md).", examples=["amount"])
    state: State = Field(description="`gone`: not found any more.", examples=["open"])
    at: At = Field(description="When it happened: by the bill, or by our fact where the bill has nothing.")
    zone: str = Field(description="The zone of the provider's days.", examples=["Asia/Shanghai"])
    ours_minor: Minor
    ours_currency: ShownCurrency | None = Field(description="The currency of `ours_minor`.")
    theirs_minor: Minor
    theirs_currency: ShownCurrency | None = Field(description="The currency of `theirs_minor`.")
    ours: str | None = Field(description="Our number of the payment.", examples=["252286601203298479"])
    theirs: Theirs
    refund: str | None = Field(description="The number of the refund.", examples=["252286601203298480"])
    about: str = Field(
        description="What it is about, for people: of units of a store, the product, territory and day.",
        examples=["entry:payment:2026112822001400001:"],
    )
    owner: str = Field(description="Who works on it.", examples=["wang"])
    note: str = Field(description="For people.", examples=["asked the provider"])
    written_off_by: str = Field(description="Who wants it written off.", examples=[""])
    matched_with: Number | None = Field(description="Its other side, where a person said that the two are one.")
    opened_at: At = Field(description="When it was found first.")
    changed_at: At
    closed_at: At | None = Field(description="When it was settled; null: it is not.")


class DifferencesOut(Out):
    differences: list[DifferenceOut] = Field(description="The earliest first.")
    next: NextCursor


class DifferenceChangeOut(Out):
    at: At
    actor: str = Field(description="Who did it.", examples=["wang"])
    what: str = Field(description="What happened.", examples=["opened"])
    detail: str = Field(description="More of it, for people.", examples=[""])


class DifferenceWithHistoryOut(DifferenceOut):
    history: list[DifferenceChangeOut] = Field(description="What happened to it, oldest first.")
    repairs: list[Literal["ask", "apply", "refund", "reread"]] = Field(
        description="What `repair` can do about it, the usual way first.", examples=[["ask"]]
    )
    perhaps_the_other_side: list[Number] = Field(
        description="Open differences of the other side, of the same sum and near in time: `match` would take them.",
        examples=[["252286601203298481"]],
    )


class DifferenceReasonIn(In):
    reason: Reason


class RepairQuery(In):
    by: Repair | None = Field(default=None, description="By what; the usual way, if not given.", examples=["ask"])


class RepairPlanOut(Out):
    by: Repair = Field(description="By what.", examples=["ask"])
    would: str = Field(
        description="What would be done, for people.", examples=["ask sandbox about payment 252286601203298479"]
    )


class RepairIn(In):
    by: Repair | None = Field(default=None, description="By what; the usual way, if not given.", examples=["ask"])
    reason: Reason


class TakeIn(In):
    owner: Annotated[str, Field(min_length=1, max_length=LONGEST_WORKER_NAME)] | None = Field(
        default=None, description="Who works on it; you, if not given.", examples=["mei"]
    )


class NoteIn(In):
    note: Reason


class WriteOffEntryOut(Out):
    amount_minor: int = Field(description="Minor units.", examples=[150])
    currency: ShownCurrency
    debit: str = Field(description="Code of the account.", examples=["writeoff"])
    credit: str = Field(description="Code of the account.", examples=["clearing:sandbox"])


class WriteOffOut(DifferenceOut):
    entries: list[WriteOffEntryOut] = Field(description="What is, or would be, booked: nothing where no money differs.")


class MatchIn(In):
    other: Number
    reason: Reason


class DifferencesMatchedOut(Out):
    differences: list[DifferenceOut] = Field(description="The two that ended together.")
