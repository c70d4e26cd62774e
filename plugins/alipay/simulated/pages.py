"""The pages that a person sees at the simulated Alipay. Plain texts in, HTML out; everything is escaped here."""

from __future__ import annotations

from html import escape

from plugins.alipay.simulated.agreements import SigningRequest
from plugins.alipay.simulated.trades import CLOSED, Order, Trade, yuan_text

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;background:#eef2f7;margin:0;color:#1f2933;overflow-wrap:anywhere}
main{max-width:26rem;margin:3rem auto;background:#fff;border-radius:12px;padding:2rem;box-shadow:0 2px 12px #0001}
h1{font-size:1.1rem;margin:0 0 1rem;color:#1677ff} .sum{font-size:2.4rem;margin:.5rem 0}
button{font:inherit;width:100%;padding:.8rem;border:0;border-radius:8px;background:#1677ff;color:#fff;margin-top:.6rem;
cursor:pointer} button.quiet{background:#e6ecf5;color:#1f2933} dl{color:#52606d;font-size:.9rem} dd{margin:0 0 .4rem}
.note{font-size:.8rem;color:#7b8794;margin-top:1.5rem}
"""
_WORDS = {
    "WAIT_BUYER_PAY": "Waiting for payment",
    "TRADE_SUCCESS": "Paid",
    "TRADE_FINISHED": "Paid",
    "TRADE_CLOSED": "Closed",
}


def cashier(order: Order, trade: Trade | None, token: str, *, needs_log_in: bool) -> str:
    """The page before the payment: log in (page payments only), pay, or give up."""
    buttons = (
        _button(f"/cashier/{token}/log-in", "Log in")
        if needs_log_in and trade is None
        else _button(f"/cashier/{token}/pay", "Pay now")
    )
    quiet = _button(f"/cashier/{token}/give-up", "Give up", quiet=True)
    return _page("Simulated Alipay cashier", _summary(order, trade) + buttons + quiet)


def outcome(trade: Trade, back: str = "") -> str:
    """What became of it, with the way back to the shop if it gave one."""
    link = f'<p><a href="{escape(back)}">Back to the shop</a></p>' if back else ""
    word = "Refunded" if trade.status == CLOSED and trade.is_paid else _WORDS.get(trade.status, trade.status)
    return _page(word, _summary(trade.order, trade) + link)


def signing(asked: SigningRequest, token: str) -> str:
    """What the payer is asked to agree to."""
    rule = asked.rule
    terms = (
        f"up to ¥{yuan_text(rule.single_fen)} each {rule.count} {rule.unit}, from {rule.first}" if rule else "any sum"
    )
    body = f"<p>{escape(terms)}</p><dl><dt>Merchant's number</dt><dd>{escape(asked.external_no)}</dd></dl>"
    return _page("Simulated Alipay: auto-debit", body + _button(f"/signing/{token}/agree", "Agree"))


def agreed() -> str:
    return _page("Signed", "<p>The shop may now charge you.</p>")


def refusal(text: str) -> str:
    return _page("This payment cannot be made", f"<p>{escape(text)}</p>")


def home(trades: list[Trade]) -> str:
    """All trades there are, newest first."""
    rows = "".join(
        f"<tr><td>{escape(t.order.out_trade_no)}</td><td>¥{yuan_text(t.fen)}</td>"
        f"<td>{escape(_WORDS.get(t.status, t.status))}</td></tr>"
        for t in reversed(trades)
    )
    table = f"<table>{rows}</table>" if rows else "<p>No trades yet.</p>"
    return _page("Simulated Alipay", table)


def _summary(order: Order, trade: Trade | None) -> str:
    number = escape(trade.trade_no) if trade else "not yet made"
    return (
        f'<p>{escape(order.subject)}</p><p class="sum">¥{yuan_text(trade.fen if trade else order.fen)}</p>'
        f"<dl><dt>Merchant's number</dt><dd>{escape(order.out_trade_no)}</dd>"
        f"<dt>Alipay's number</dt><dd>{number}</dd></dl>"
    )


def _button(address: str, label: str, *, quiet: bool = False) -> str:
    style = ' class="quiet"' if quiet else ""
    return f'<form method="post" action="{escape(address)}"><button{style}>{escape(label)}</button></form>'


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}"
        '<p class="note">A simulator. No money moves here.</p></main></body></html>'
    )
