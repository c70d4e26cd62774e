"""Which provider the settings of an account of API v3 make: a capability is there exactly where it can work."""

from __future__ import annotations

from app.providers import Tools
from plugins.wechat.settings import V3Settings
from plugins.wechat.v3.debits import V3Debits
from plugins.wechat.v3.provider import CertificateProvider, V3Provider


class CertificateDebits(V3Debits, CertificateProvider):
    """Auto-debit, for a merchant whose messages may be signed with platform certificates."""


def build_v3(settings: V3Settings, tools: Tools) -> V3Provider:
    """With `refresh` where platform certificates are used, without it where the public key is all there is; with
    agreements where there is a template for them."""
    if settings.plan_ids:
        return CertificateDebits(settings, tools) if settings.platform_certificates else V3Debits(settings, tools)
    return CertificateProvider(settings, tools) if settings.platform_certificates else V3Provider(settings, tools)
