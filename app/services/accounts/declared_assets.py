"""Which assets there are to grant and to debit: those of products, and those that the settings name.

A name that is mistyped must not make a coin that nothing sells and nothing takes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from sqlalchemy import select

from app.models.catalogue import Product
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError

ASSETS_SECONDS = 60.0
"""How long a process believes what it has read of the catalogue; a name that is not in it is looked for at once."""


class UnknownAsset(DomainError):
    """No product grants it, and the setting `assets` does not name it."""

    code = "unknown_asset"
    remembered = False


class DeclaredAssets:
    """One for each web process, shared by its threads."""

    def __init__(self, core: Core, seconds: Callable[[], float] = time.monotonic) -> None:
        self._core = core
        self._seconds = seconds
        self._lock = threading.Lock()
        self._of_products = frozenset[str]()
        self._read_at = float("-inf")

    def check(self, assets: Iterable[str]) -> None:
        """Raises UnknownAsset for the first that is not declared."""
        wanted = sorted(set(assets) - self._core.rules.assets)
        is_fresh = self._seconds() - self._read_at < ASSETS_SECONDS
        if is_fresh and self._of_products.issuperset(wanted):
            return
        if wanted:
            with self._lock:
                self._of_products, self._read_at = self._core.home.read(_assets_of_products), self._seconds()
        for asset in wanted:
            if asset not in self._of_products:
                raise UnknownAsset(asset=asset)


def _assets_of_products(tx: Tx) -> frozenset[str]:
    """Of products that are no longer for sale, too: their coins are still there."""
    return frozenset(grant["asset"] for grants in tx.scalars(select(Product.grants)) for grant in grants)
