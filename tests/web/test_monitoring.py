"""`GET /metrics`: what monitoring counts, from one process and from several."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Engine

from app.providers.registry import ProviderAccount
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, order_body, token
from tests.support.world import World

COUNTS_ONE_CALL = """
from app import metrics
metrics.PROVIDER_CALLS.labels("shop", "query", "answered").observe(0.2)
"""
SHOWS_ALL = "from app import metrics; print(metrics.exposition().decode())"


class Silent:
    """A provider whose `start` fails in a way that nobody expects."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def start(self, _: object) -> None:
        raise RuntimeError("nobody expects this")


def _counted(page: str, name: str, **labels: str) -> float:
    found = re.findall(rf"^{name}{{(.*)}} (\S+)$", page, re.MULTILINE)
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    return sum(float(number) for has, number in found if wanted <= set(has.split(",")))


def test_each_call_to_a_provider_is_counted_by_how_it_ended(world: World, engine: Engine) -> None:
    account: Any = ProviderAccount("sandbox", "sandbox", False, Silent(world.account.provider))
    http = build_client(world.with_accounts(account), engine)
    backend = ApiClient(http, BACKEND_KEY)

    def unknown() -> float:
        page = backend.get("/metrics").text
        return _counted(page, "tillbook_provider_call_seconds_count", verb="start", end="unknown")

    before = unknown()
    ApiClient(http, token("alice")).post("/v1/orders", order_body())
    assert unknown() == before + 1


def test_counts_are_for_the_backend_only(http: FlaskClient, alice: ApiClient) -> None:
    assert http.get("/metrics").status_code == 401
    assert alice.get("/metrics").status_code == 403


def test_processes_that_share_a_folder_add_up_their_counts(tmp_path: Path) -> None:
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", COUNTS_ONE_CALL], env=environ, check=True)
    shown = subprocess.run([sys.executable, "-c", SHOWS_ALL], env=environ, check=True, capture_output=True, text=True)
    assert _counted(shown.stdout, "tillbook_provider_call_seconds_count", provider_account="shop", verb="query") == 2
