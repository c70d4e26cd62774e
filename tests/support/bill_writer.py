"""Keeps bills of a made-up provider with their lines, as a plugin's reading would leave them."""

from __future__ import annotations

import hashlib
import itertools
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy import insert, update

from app.domain.bill_lines import BillLine, BillSide
from app.models.bills import BILL_LINES, BILL_READINGS, BILLS
from app.services.base.transaction import Sessions, Transaction, transact

FEEDS = {BillSide.TRADES: "trade_bill", BillSide.FUNDS: "fund_bill"}
"""As the sandbox's plugin calls them."""


@dataclass
class BillWriter:
    """Writes into one database, for one provider account."""

    sessions: Sessions
    account: str = "sandbox"
    zone: str = "Asia/Shanghai"
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def write(
        self,
        name: str,
        side: BillSide,
        since: datetime,
        until: datetime,
        lines: Iterable[BillLine],
        at: datetime,
        *,
        feed: str = "",
    ) -> int:
        """A bill that takes the place of earlier ones of that feed and name. The number of its reading."""
        of_feed = feed or FEEDS.get(side, side.value)
        return transact(self.sessions, lambda tx: self._write(tx, of_feed, name, side, (since, until), list(lines), at))

    def _write(
        self,
        tx: Transaction,
        feed: str,
        name: str,
        side: BillSide,
        span: tuple[datetime, datetime],
        lines: list[BillLine],
        at: datetime,
    ) -> int:
        number = next(self.numbers)
        data = f"{self.account} {number}".encode()
        sha256 = hashlib.sha256(data).hexdigest()
        document = {"provider_account": self.account, "feed": feed, "name": name, "sha256": sha256}
        times = {"since": span[0], "until": span[1]}
        tx.execute(
            insert(BILLS).values(**document, **times, size=len(data), content=zlib.compress(data), fetched_at=at)
        )
        readings = BILL_READINGS.c
        earlier = (readings.provider_account == self.account, readings.feed == feed, readings.name == name)
        tx.execute(update(BILL_READINGS).where(*earlier).values(status="replaced"))
        reading = {**document, **times, "id": number, "side": side.value, "status": "read", "zone": self.zone}
        tx.execute(insert(BILL_READINGS).values(**reading, lines=len(lines), read_at=at))
        for position, line in enumerate(lines, start=1):
            row = {**asdict(line), "kind": line.kind.value}
            tx.execute(
                insert(BILL_LINES).values(provider_account=self.account, reading_id=number, position=position, **row)
            )
        return number
