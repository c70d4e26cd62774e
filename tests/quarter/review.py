"""What finance does with the differences of the quarter, and what must hold then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, time
from functools import partial
from typing import Any

from app.domain.accounting_time import Basis, Span, month_span
from app.domain.bill_figures import BillDay
from app.domain.differences import BETWEEN_BILLS
from app.domain.trial_balance import totals_of
from app.services.audit import run
from app.services.audit.ledger import AsOf
from app.services.base.context import Core
from app.services.bills.readings import list_readings
from app.services.differences.comparisons import compare_account
from app.services.differences.difference_lists import DifferenceFilter, list_differences
from app.services.differences.repairs import OFFERED, Repair, carry_out, plan_repair
from app.services.finance import closings, recognition
from app.services.finance.accounting_periods import balance_by
from app.services.finance.clearing import clearing_at_end_of
from app.services.finance.store_units import unit_differences
from app.services.ledger import checkpoints
from app.services.reports.catalogue import ReportWanted, draw_report
from app.services.reports.unspent_coins import unspent_coins
from tests.quarter.calendar import A_DAY, CHINA, TICK
from tests.quarter.diary import Wrong
from tests.quarter.recount import Recount
from tests.quarter.sheets import SHEETS, journal, journal_moved, sheet, told, unspent
from tests.quarter.wrongs import SpoiledQuarter

MEI, LI = "operator:mei", "operator:li"
REVIEWED_DAYS = 14
AS_OF_NOW = ("differences", "difference_amount", "day_boundary")
"""Columns of the settlement sheet."""
RECOUNTED = (*SHEETS, "journal")
"""Reports of a period that the recount draws, too. What is booked late and the list of fees follow from others."""
MOST_SHOWN = 20
"""Rows that differ, in the message of a failure."""
_WORKS = {"status": Repair.APPLY, "refund_extra": Repair.APPLY, "theirs_not_ours": Repair.ASK}
"""The repair that mends the difference. The others wait for the provider, who makes the bill anew."""


class Review:
    def __init__(self, quarter: SpoiledQuarter) -> None:
        self.quarter = quarter
        self.repaired: list[Wrong] = []

    @property
    def core(self) -> Core:
        return self.quarter.house.core

    # --- differences ------------------------------------------------------------------------------------------------

    def open_rows(self, state: str | None = None) -> list[Any]:
        return list(list_differences(self.core, DifferenceFilter(state=state), None, 10_000).rows)

    def found(self) -> Counter[Wrong]:
        """What differs from the books. A wrong row also makes the provider's two bills differ, by `BETWEEN_BILLS`."""
        return Counter(
            Wrong(row.provider_account, row.type, self._name(row))
            for row in self.open_rows()
            if not _is_between_bills(row)
        )

    def _name(self, row: Any) -> str:
        if row.type.startswith("refund"):
            return str(row.refund)
        if row.type != "balance":
            return str(row.ours)
        # Where later rows of the day come back to where it broke, only the next day's bill does not go on from there.
        day = row.at.astimezone(CHINA).date()
        planted = {one.name for one in self.quarter.diary.wrongs if one.account == row.provider_account}
        return str(day - A_DAY if str(day) not in planted and str(day - A_DAY) in planted else day)

    def must_have_found_what_was_planted(self) -> None:
        """Each with its type, and nothing else."""
        planted, found = Counter(self.quarter.diary.wrongs), self.found()
        assert found == planted, (
            f"not found: {sorted(map(str, planted - found))}, false: {sorted(map(str, found - planted))}"
        )

    def must_miss_a_payout(self) -> None:
        """Of the provider that pays out by itself, and has not. The next payout settles it."""
        account = self.quarter.wechat.name
        missed = [row for row in self.open_rows() if row.type == "payout_missing"]
        assert [(row.provider_account, row.theirs_currency) for row in missed] == [(account, "CNY")], missed
        self.repaired.append(Wrong(account, "payout_missing", missed[0].subject))

    def repair_all(self) -> None:
        """As the product offers it, previewed; then the provider makes its wrong bills anew, and these days are
        compared once more."""
        held = {one.wrong.name for one in self.quarter.held_back}
        for row in self.open_rows():
            if self._name(row) in held or _is_between_bills(row):
                continue
            if row.type == "not_ours":
                self.quarter.house.configure(row.provider_account, shared=True)
            elif row.type in OFFERED and row.type != "balance":  # the provider makes that bill anew
                self.repair(row)
        for till in self.quarter.with_balance:
            till.mend()
        self.quarter.house.work()
        yesterday = (self.quarter.house.clock.now() - A_DAY).astimezone(CHINA).date()
        self.compare_again(max(self.quarter.first, yesterday - REVIEWED_DAYS * A_DAY), yesterday)

    def hear_of_what_was_held_back(self, until: datetime) -> None:
        """Of what happened before that moment."""
        due = [one for one in self.quarter.held_back if one.at < until]
        names = {one.wrong.name for one in due}
        for row in self.open_rows():
            by_us = row.type in OFFERED and row.type != "balance" and not _is_between_bills(row)
            if self._name(row) in names and by_us:
                self.repair(row)
        for one in due:
            if one.mend is not None:
                one.mend()
        self.quarter.held_back = [one for one in self.quarter.held_back if one not in due]
        self.repaired += [one.wrong for one in due]
        gone = Counter(one.wrong for one in due)
        self.quarter.diary.wrongs[:] = (Counter(self.quarter.diary.wrongs) - gone).elements()

    def repair(self, row: Any) -> None:
        if row.type == "status":
            self.quarter.wechat.shows_the_truth(row.ours)
        plan = plan_repair(self.core, row.id, _WORKS.get(row.type))
        assert plan.sentence
        carry_out(self.core, plan, actor=MEI, reason="looked at the provider's page")
        self._note_told(row)

    def _note_told(self, row: Any) -> None:
        """We have heard of it now."""
        diary, now = self.quarter.diary, self.quarter.house.clock.now()
        if row.type == "theirs_not_ours":
            diary.strays[row.ours].told_at = now
        for sale in diary.sales:
            if row.type == "status" and sale.number == row.ours:
                sale.told_at = now
            for one in sale.back:
                if row.type == "refund_extra" and one.number == row.refund:
                    one.told_at = now

    def compare_again(self, first: date, last: date) -> None:
        for account in (till.name for till in self.quarter.with_balance):
            for day in self.days(last):
                if day < first:
                    continue
                start = datetime.combine(day, time(), CHINA)
                compare_account(self.core, self.quarter.house.simulators.accounts[account], start, start + A_DAY)

    def days(self, last: date) -> Iterator[date]:
        day = self.quarter.first
        while day <= last:
            yield day
            day += A_DAY

    # --- clearing ---------------------------------------------------------------------------------------------------

    def must_clear(self, last: date) -> None:
        """At each day's end the books have what the provider has, but for what is on its way."""
        now = self.quarter.house.clock.now()
        for till in self.quarter.with_balance:
            account = self.quarter.house.simulators.accounts[till.name]
            for day in self.days(last):
                bill_day = BillDay(till.name, "sandbox", day, till.zone)
                ask = partial(clearing_at_end_of, day=bill_day, now=now, lag=account.lag)
                held = self.core.whole.read(ask, snapshot=True)
                # A row that was wrong told of dollars: what was booked for that is taken back.
                strange = [one for one in held if one.currency not in till.currencies]
                assert {(one.clearing, one.on_its_way) for one in strange} <= {(0, 0)}
                for found in (one for one in held if one.currency in till.currencies):
                    there = till.balance(bill_day.end, found.currency)
                    about = f"{till.name} {day}: {found}, at the provider {there}"
                    assert found.closing in (there, None), about
                    assert there - found.clearing + found.on_its_way == 0, about

    def must_know_what_the_store_sold(self, last: date) -> None:
        """The store's sales reports tell as many units as its signed purchases."""
        account = self.quarter.house.simulators.accounts[self.quarter.store.name]
        first = self.quarter.first
        assert any(row.provider_account == account.name and row.lines for row in self.core.whole.read(list_readings))
        assert self.core.whole.read(lambda tx: unit_differences(tx, account, first, last)) == []

    # --- the books --------------------------------------------------------------------------------------------------

    @property
    def recount(self) -> Recount:
        return Recount(self.quarter.diary, self.quarter.calendar, self.quarter.gives_fees_back)

    def balances(self, until: datetime) -> dict[tuple[str, str], int]:
        """Credit balances of the house's money just before that moment, by effective time."""
        now = self.quarter.house.clock.now()
        found = self.core.whole.read(
            lambda tx: balance_by(tx, Basis.EFFECTIVE, now=now, at=until - TICK), snapshot=True
        )
        totals = totals_of(found).items()
        money = {(one.asset, one.code): sums.balance for one, sums in totals if one.asset != "coin"}
        return {account: minor for account, minor in money.items() if minor}

    def must_balance(self, until: datetime) -> None:
        """The trial balance is the recount's, account by account, and has no other account."""
        _agree(f"trial balance until {until}", Counter(self.balances(until)), Counter(self.recount.balances(until)))

    def must_report(self, span: Span) -> None:
        """Each report of a span says what the recount says, row by row."""
        recount = self.recount
        for name in RECOUNTED:
            rows = self.rows(name, span)
            if name == "journal":
                found, wanted = journal_moved(rows), journal(recount, span.since, span.until)
            else:
                found = Counter(told(name, row) for row in rows)
                wanted = sheet(name, recount, span.since, span.until)
            _agree(f"{name} of {span.since} to {span.until}", found, wanted)

    def must_list_each_fee(self, span: Span) -> None:
        """The list of fees sums to what is booked of them, which the recount knows."""
        listed = Counter[tuple[str, str]]()
        for row in self.rows("fees", span):
            assert all((row["bill"], row["row"])), "each has a row of a bill behind it"
            listed[row["currency"], f"fees:{row['provider_account']}"] += row["amount"].minor
        booked = {one: minor for one, minor in self.balances(span.until).items() if one[1].startswith("fees:")}
        _agree("fees", Counter(listed), Counter(booked))

    def must_know_whose_coins_are_unspent(self) -> None:
        """By user and purchase, at present."""
        rows = self.core.whole.read(lambda tx: _rows(unspent_coins(tx)), snapshot=True)
        _agree("unspent coins", Counter(told("unspent", row) for row in rows), unspent(self.recount))

    def rows(self, report: str, span: Span) -> list[dict[str, Any]]:
        return self.core.whole.read(lambda tx: _rows(draw_report(tx, report, ReportWanted(span))), snapshot=True)

    def reports(self, month: str) -> dict[str, Any]:
        """What is reported about a month, but for which differences are open, and estimates of what the store has not
        told yet: both are as of now."""
        span = month_span(month, self.quarter.zone)
        drawn: dict[str, Any] = {
            name: Counter(
                str([(column, cell) for column, cell in row.items() if column not in AS_OF_NOW])
                for row in self.rows(name, span)
                if row.get("estimated") != "yes"
            )
            for name in RECOUNTED
        }
        return drawn | {"balances": self.balances(span.until)}

    def catch_up(self) -> None:
        """What the worker does in the course of days: checkpoints and recognition."""
        now = self.quarter.house.clock.now()
        while checkpoints.write_next(self.core.whole.sessions, now=now):
            pass
        while recognition.recognise_next(self.core):
            pass

    def close(self, month: str) -> None:
        closings.propose(self.core, month, actor=MEI, despite="some payments are still asked about")
        row = closings.confirm(self.core, month, actor=LI)
        self.quarter.diary.closed.append((row.until, row.booked_until))

    def must_be_balanced(self) -> None:
        core = self.core
        found = run.audit(core.whole.sessions, AsOf(core.rules.ledger, core.clock.now, core.registry.bill_rules))
        assert found == [], found


def _is_between_bills(row: Any) -> bool:
    return bool(row.subject.startswith(BETWEEN_BILLS))


def _rows(table: Any) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def _agree(about: str, found: Counter[Any], wanted: Counter[Any]) -> None:
    if found != wanted:
        names = found.keys() | wanted.keys()
        differing = sorted((str(name), found[name], wanted[name]) for name in names if found[name] != wanted[name])
        lines = [f"  {name}: {ours}, by the recount {theirs}" for name, ours, theirs in differing]
        raise AssertionError("\n".join([f"{about}: {len(lines)} rows differ", *lines[:MOST_SHOWN]]))
