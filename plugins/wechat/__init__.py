"""WeChat Pay for merchants in mainland China: API v3 (JSON, RSA) and API v2 (XML, MD5 or HMAC). Start at README.md."""

from __future__ import annotations

from app.providers import Misconfigured, Plugin, Provider, Tools
from plugins.wechat.settings import Settings, V2Settings
from plugins.wechat.v2.assembly import build_v2
from plugins.wechat.v3.assembly import build_v3


def build(settings: Settings, tools: Tools) -> Provider:
    """The provider of one account. Raises Misconfigured when the keys cannot work together."""
    chosen = settings.root
    if tools.live and not chosen.api_url.startswith("https://"):
        raise Misconfigured("api_url: real money goes over https only (for a simulator set live = false)")
    if isinstance(chosen, V2Settings):
        return build_v2(chosen, tools)
    return build_v3(chosen, tools)


plugin = Plugin(name="wechat", settings=Settings, build=build)
