"""Which provider the settings of an account make: a capability is there exactly where the contract allows it."""

from __future__ import annotations

from app.providers import Tools
from plugins.alipay import credentials
from plugins.alipay.debits import AlipayDebits
from plugins.alipay.provider import AlipayProvider, CertifiedAlipayProvider
from plugins.alipay.settings import AlipaySettings


class CertifiedAlipayDebits(AlipayDebits, CertifiedAlipayProvider):
    """Auto-debit in certificate mode."""


def build(settings: AlipaySettings, tools: Tools) -> AlipayProvider:
    """Raises Misconfigured, saying what to change, when keys, certificates or gateway cannot work."""
    keys = credentials.load(settings, tools.clock.now())
    if settings.agreements is None:
        made: type[AlipayProvider] = AlipayProvider if keys.certificates is None else CertifiedAlipayProvider
    else:
        made = AlipayDebits if keys.certificates is None else CertifiedAlipayDebits
    return made(settings, keys, tools)
