from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import generate, node
from tests.clients.service import Service, running_service


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    return generate.document()


@pytest.fixture(scope="session")
def document_file(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("document") / "openapi.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("service") / "house") as running:
        yield running


@pytest.fixture(scope="session")
def npm_programs() -> None:
    """Redocly, openapi-typescript and tsc are there. Without them the test is skipped, unless they are required."""
    try:
        node.install()
    except node.NoNode as missing:
        if os.environ.get(node.REQUIRED) == "required":
            raise
        pytest.skip(str(missing))
