"""The sandbox with its bills, as the conformance kit needs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from app.providers import Plugin
from app.providers.testing.conformance import BillDocument
from plugins.sandbox.bills import SIDES, BillingSandbox
from plugins.sandbox.settings import SandboxSettings
from tests.plugins.sandbox.world import MERCHANT, OTHER, SandboxWorld


class BillingWorld(SandboxWorld):
    plugin = Plugin("sandbox", SandboxSettings, BillingSandbox)
    traits = replace(SandboxWorld.traits, verbs=(*SandboxWorld.traits.verbs, "bills"))

    def history_window(self) -> tuple[datetime, datetime]:
        """The bill of a day is made after the day."""
        since = self.clock.now() - timedelta(hours=1)
        self.clock.advance(timedelta(days=2).total_seconds())
        return since, since + timedelta(hours=15)

    def further_bills(self) -> tuple[BillDocument, ...]:
        """A day with a payout and a row of a kind that is new, and a quiet day."""
        desk = self.simulator.bills
        desk.pay_out(MERCHANT, 100, "CNY")
        desk.move(MERCHANT, "GIFT", 7, "CNY")
        desk.move(MERCHANT, "TRANSFER", -50, "JPY")
        busy = self.clock.now().date().isoformat()
        self.clock.advance(timedelta(days=2).total_seconds())
        return (*self._bills(MERCHANT, busy), *self._bills(MERCHANT, "2025-12-24"))

    def spoilt_bills(self, document: BillDocument) -> Mapping[str, bytes]:
        head, *rows, foot = document.content.decode().splitlines(keepends=True)
        if not rows:
            return {}
        content = json.loads(rows[0])
        changed = json.dumps({**content, "amount": content["amount"] + 1}) + "\n"
        spoilt = {
            "a row removed": [head, *rows[1:], foot],
            "a row twice": [head, rows[0], *rows, foot],
            "an amount changed": [head, changed, *rows[1:], foot],
        }
        return {what: "".join(lines).encode() for what, lines in spoilt.items()}

    def foreign_bills(self) -> tuple[BillDocument, ...]:
        self.clock.advance(timedelta(days=2).total_seconds())
        return self._bills(OTHER, "2026-01-02")

    def _bills(self, merchant: str, day: str) -> tuple[BillDocument, ...]:
        desk = self.simulator.bills
        return tuple(
            BillDocument(feed, f"{merchant}_{day}_{side}.jsonl", desk.bill(merchant, side, day, live=False).encode())
            for feed, side in SIDES.items()
        )
