"""Waiting that says what is waited for: a busy machine takes its time."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 180.0
"""The longest wait. On a quiet machine a wait takes a few seconds, or a minute for a refund that is asked about."""
SILENT_SECONDS = 10.0
"""After so long, and then again after so long, what is waited for is said."""


def wait_for(what: str, ready: Callable[[], bool], seconds: float = SECONDS, silent: float = SILENT_SECONDS) -> None:
    """Wait until `ready()` is true. Ends the program, saying what did not come, if it never is."""
    began = time.monotonic()
    said = began
    while not ready():
        now = time.monotonic()
        if now - began > seconds:
            raise SystemExit(f"waited {seconds:.0f} seconds in vain for {what}")
        if now - said >= silent:
            said = now
            print(f"  … waiting for {what} ({now - began:.0f} s of at most {seconds:.0f})", flush=True)  # noqa: T201
        time.sleep(0.1)
