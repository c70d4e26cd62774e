"""What the conformance kit wants to know about WeChat Pay's bills: further genuine ones, spoilt ones, foreign ones."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from app.providers.testing.conformance import BillDocument
from plugins.wechat.bills.feeds import FUND_ACCOUNTS, TRADE_BILL
from plugins.wechat.bills.file import BillFile
from plugins.wechat.simulated.keys import SimulatorConfig

VECTORS = Path(__file__).parent / "vectors"
TRADES = (
    "trade_all_2019_fees.csv",
    "trade_all_2024_partial_refunds.csv",
    "trade_refund_2021.csv",
    "trade_success_2021.csv",
)
NO_TRADES = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\n"
    "`0,`0.00,`0.00,`0.00,`0.00000,`0.00,`0.00\n"
)


class BillsOfWeChat:
    """The hooks of `World` about bills."""

    config: SimulatorConfig

    def further_bills(self) -> tuple[BillDocument, ...]:
        """Published bills, as if they were this merchant's; each type, and a day without a trade."""
        return tuple(self._further())

    def _further(self) -> Iterator[BillDocument]:
        for name in TRADES:
            text = (VECTORS / name).read_text(encoding="utf-8")
            ours = text.replace("wx8888888888888888", self.config.appid)
            yield BillDocument(TRADE_BILL, name, ours.encode())
        header = (VECTORS / TRADES[0]).read_text(encoding="utf-8").splitlines()[0]
        yield BillDocument(TRADE_BILL, "2026-01-02.csv", f"{header}\n{NO_TRADES}".encode())
        for feed in FUND_ACCOUNTS:
            yield BillDocument(feed, "funds.csv", (VECTORS / "fundflow_day_synthetic.csv").read_bytes())

    def spoilt_bills(self, document: BillDocument) -> Mapping[str, bytes]:
        """Row by row, and packed as before."""
        header, *rows, totals, sums = BillFile(document.content).lines()
        if not rows:
            return {}
        pack: Callable[[bytes], bytes] = gzip.compress if document.content.startswith(b"\x1f\x8b") else bytes
        column = "应结订单金额" if document.feed == TRADE_BILL else "收支金额(元)"
        cells = rows[0].split(",`")
        place = header.split(",").index(column)
        cells[place] = f"1{cells[place]}"
        spoilt = {
            "the first row removed": rows[1:],
            "the last row removed": rows[:-1],
            "a row twice": [*rows, rows[0]],
            "an amount changed": [",`".join(cells), *rows[1:]],
        }
        return {what: pack("\n".join([header, *left, totals, sums]).encode()) for what, left in spoilt.items()}

    def foreign_bills(self) -> tuple[BillDocument, ...]:
        """A fund flow bill does not say whose it is."""
        text = (VECTORS / TRADES[0]).read_text(encoding="utf-8")
        return (BillDocument(TRADE_BILL, "theirs.csv", text.replace(self.config.mchid, "1900000222").encode()),)
