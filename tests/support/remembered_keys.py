"""Private keys, parsed once: the tests build thousands of provider accounts with a handful of keys.

OpenSSL proves an RSA key when it reads one: 50 ms, most of the time of the conformance tests (November 2026).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives import serialization


def remember() -> None:
    """From now on, in this process, for modules that are imported later."""
    for name in ("load_pem_private_key", "load_der_private_key"):
        setattr(serialization, name, _once(getattr(serialization, name)))


def _once(load: Any) -> Any:
    @lru_cache(512)
    def loaded(data: bytes, password: bytes | None, **how: bool) -> Any:
        return load(data, password, **how)

    def load_once(data: Any, password: bytes | None = None, backend: Any = None, **how: bool) -> Any:
        return loaded(bytes(data), password, **how)

    return load_once
