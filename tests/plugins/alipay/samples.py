"""The sample messages in `vectors/` (synthetic: invented numbers, keys of their own) and the keys with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.providers import HttpResponse, Tools
from app.providers.testing.doubles import FixedClock, MemoryKeys, NoNetwork
from plugins.alipay.provider import AlipayProvider
from tests.plugins.alipay.actors import build

FOLDER = Path(__file__).parent / "vectors"
APP_ID, SELLER_ID = "2021000000000001", "2088000000000001"


def sample(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def names(kind: str) -> list[str]:
    """The samples of a kind (`notify_raw`, `sync`), in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.json") if sample(path.stem)["kind"] == kind)


def key(name: str) -> str:
    return str(FOLDER / f"{name}.pem")


class CannedHttp:
    """Answers every request with the same body, and keeps the requests."""

    def __init__(self, *bodies: bytes) -> None:
        self._bodies = list(bodies)
        self.requests: list[tuple[str, str, bytes]] = []

    def request(self, method: str, url: str, *, body: bytes = b"", **_: Any) -> HttpResponse:
        self.requests.append((method, url, body))
        return HttpResponse(200, {}, self._bodies.pop(0) if len(self._bodies) > 1 else self._bodies[0])


def provider(http: Any = None, clock: FixedClock | None = None, **settings: Any) -> AlipayProvider:
    """The app of the samples, in key mode."""
    tools = Tools(http=http or NoNetwork(), clock=clock or FixedClock(), keys=MemoryKeys(), live=False)
    return build(table() | settings, tools)


def table() -> dict[str, Any]:
    """The settings of the app, its keys given as files."""
    return {
        "app_id": APP_ID,
        "seller_id": SELLER_ID,
        "app_private_key": key("app_private_key"),
        "alipay_public_key": key("alipay_public_key"),
    }
