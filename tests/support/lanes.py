"""Rounds of some of the worker's lanes, for tests that let days pass: the others would look, and find nothing."""

from __future__ import annotations

from app.services.base.context import Core
from app.worker import ORDERS, Worker

ABOUT_PAYMENTS = ("payment queries", ORDERS)
ABOUT_REFUNDS = ("payment queries", "reference queries", "refunds", "refunds that failed")
ABOUT_RECEIPTS = ("receipts",)
"""Kinds of work, as the lanes have them."""


class SomeLanes:
    """The lanes of these kinds, of one worker."""

    def __init__(self, core: Core, kinds: tuple[str, ...]) -> None:
        self._worker = Worker(core)
        self._lanes = [lane for lane in self._worker.lanes if lane.kind in kinds]
        assert {lane.kind for lane in self._lanes} == set(kinds)

    def round(self) -> int:
        """One round of each; how many things were done."""
        return sum(lane.round() for lane in self._lanes)

    def round_of_all(self) -> int:
        """One round of every lane of the worker."""
        return self._worker.run_once()
