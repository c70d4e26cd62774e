"""Settings that the machine of a test has in its environment, and that the test must not meet."""

from __future__ import annotations

import os

import pytest


def forget_our_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the test ends, no setting comes from the environment."""
    for name in list(os.environ):
        if name.startswith("TILLBOOK_"):
            monkeypatch.delenv(name)
