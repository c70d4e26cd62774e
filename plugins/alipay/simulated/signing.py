"""How the simulated Alipay signs: answers to calls, notices, and the address that a payer's browser goes back to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from plugins.alipay.encryption import AesContent
from plugins.alipay.formats import beijing_text
from plugins.alipay.signing import canonical, signature
from plugins.alipay.simulated.keys import SELLER_EMAIL, DemoKeys, load_private
from plugins.alipay.simulated.trades import Trade, yuan_text


def system_clock() -> datetime:
    return datetime.now(UTC)


def sign(private_pem: str, content: bytes) -> str:
    return signature(load_private(private_pem), content)


@dataclass(slots=True)
class SigningSide:
    """Who the simulated Alipay is, and what it signs with. The fields after `aes` are switches for tests."""

    keys: DemoKeys
    base_url: str = "http://localhost:8090"
    now: Callable[[], datetime] = system_clock
    aes: AesContent | None = None
    answer_key: str = field(init=False, repr=False)
    """The private key that signs answers and notices (PEM)."""
    certificate_sn: str = field(init=False, default="")
    sign_answers: bool = True

    def __post_init__(self) -> None:
        self.answer_key = self.keys.alipay_private_key
        if self.keys.certificates:
            self.certificate_sn = self.keys.certificates.alipay_sn

    def signed_answer(self, root: str, content: Mapping[str, Any], *, encrypted: bool) -> str:
        """The answer, with `/` written as `\\/` the way Alipay's serialiser does."""
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
        if encrypted and self.aes:
            text = json.dumps(self.aes.encrypt(text))
        members = [f'"{root}":{text}']
        if self.certificate_sn:
            members.append(f'"alipay_cert_sn":"{self.certificate_sn}"')
        if self.sign_answers:
            members.append(f'"sign":"{sign(self.answer_key, text.encode())}"')
        return "{" + ",".join(members) + "}"

    def signed_form(self, fields: Mapping[str, str], *, key: str | None = None, charset: str = "utf-8") -> str:
        """A notice as a form: signed without `sign_type`, each value percent-encoded in the charset."""
        named = dict(fields) | {"charset": charset}
        content = canonical((name.encode(), value.encode(charset)) for name, value in named.items())
        signed = named | {"sign_type": "RSA2", "sign": sign(key or self.answer_key, content)}
        return urlencode(signed, encoding=charset)

    def envelope(self) -> dict[str, str]:
        """What every payment notice carries besides the trade."""
        return {
            "app_id": self.keys.app_id,
            "auth_app_id": self.keys.app_id,
            "version": "1.0",
            "seller_id": self.keys.seller_id,
            "seller_email": SELLER_EMAIL,
        }

    def return_address(self, trade: Trade) -> str:
        """Where the payer's browser goes after paying: `return_url` with signed parameters. No proof of payment."""
        url = trade.order.return_url
        fields = {
            "app_id": self.keys.app_id,
            "auth_app_id": self.keys.app_id,
            "method": f"{trade.order.method}.return",
            "out_trade_no": trade.order.out_trade_no,
            "seller_id": self.keys.seller_id,
            "timestamp": beijing_text(self.now()),
            "total_amount": yuan_text(trade.fen),
            "trade_no": trade.trade_no,
            "version": "1.0",
        }
        return f"{url}{'&' if '?' in url else '?'}{self.signed_form(fields)}" if url else ""
