"""Alipay Open Platform, mainland merchants, gateway v2 with RSA2. Start at `provider`; README.md has the map."""

from __future__ import annotations

from app.providers import Plugin
from plugins.alipay.assembly import build
from plugins.alipay.settings import AlipaySettings

plugin = Plugin(name="alipay", settings=AlipaySettings, build=build)

__all__ = ["plugin"]
