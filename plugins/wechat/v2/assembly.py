"""Which provider the settings of an account of API v2 make: a capability is there exactly where it can work."""

from __future__ import annotations

from app.providers import ClientCertificate, Provider, Tools
from plugins.wechat.settings import V2Settings
from plugins.wechat.v2.debits import V2Debits
from plugins.wechat.v2.provider import V2Provider
from plugins.wechat.v2.refunding import RefundingV2Provider


class RefundingV2Debits(V2Debits, RefundingV2Provider):
    """Auto-debit, for a merchant whose certificate is given."""


def build_v2(settings: V2Settings, tools: Tools) -> Provider:
    """With `refund` where the merchant's certificate is given, with agreements where a template is, without either
    where not."""
    if settings.merchant_private_key is None or settings.merchant_certificate is None:
        return V2Debits(settings, tools) if settings.plan_ids else V2Provider(settings, tools)
    shown = ClientCertificate(settings.merchant_certificate, settings.merchant_private_key.get_secret_value())
    made = RefundingV2Debits if settings.plan_ids else RefundingV2Provider
    return made(settings, tools, shown)
