"""How fast a signed transaction of a known certificate chain is verified, beside Apple's own library in the same run.

    .venv/bin/python bench/apple_receipts.py

Both verify the same transactions offline, under a chain of Apple's shape (P-384 authorities, a P-256 leaf). Ours then
also makes the facts of them (`receive`), which the library has no counterpart for. CPU microseconds each, the best of
several rounds; exits with 1 if we are not at least five times the library's rate.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier

from app.providers import Message, Tools
from app.providers.testing.doubles import FixedClock, MemoryKeys, NoNetwork
from plugins.apple import plugin
from plugins.apple.chains import Chains
from plugins.apple.settings import AppleSettings
from plugins.apple.signed_data import App, SignedData
from plugins.apple.simulated.store import SimulatedStore, SimulatorConfig

ROUNDS, TRANSACTIONS = 9, 200
WANTED = 5.0
T = TypeVar("T")


def main() -> int:
    clock = FixedClock(datetime(2026, 1, 2, tzinfo=UTC))
    store = SimulatedStore(SimulatorConfig(now=clock.now))
    bought = [store.purchases.buy("Sandbox", f"coins-{at}") for at in range(TRANSACTIONS)]
    texts = [store.notifications.signed_transaction(one) for one in bought]
    bundle, root = store.config.bundle_id, store.signer.root
    library = SignedDataVerifier([root], False, Environment.SANDBOX, bundle)
    ours = SignedData(App(bundle, None, ("Sandbox",)), Chains((root,)))
    settings = store.settings("http://store.example") | {"confirm": "no"}
    tools = Tools(http=NoNetwork(), clock=clock, keys=MemoryKeys(), live=False)
    provider = plugin.build(AppleSettings.model_validate(settings), tools)
    messages = [Message("receipt", json.dumps({"signed_transaction": text}).encode()) for text in texts]

    floor = best(library.verify_and_decode_signed_transaction, texts)
    mine = best(ours.transaction, texts)
    whole = best(provider.receive, messages)
    print("CPU microseconds for one transaction of a chain seen before")
    print(f"  Apple's library, verify and decode   {floor:8.0f}")
    print(f"  ours, verify and decode              {mine:8.0f}   {floor / mine:5.1f} times its rate")
    print(f"  ours, receive: verified, as facts    {whole:8.0f}   {floor / whole:5.1f} times its rate")
    return 0 if floor / whole >= WANTED else 1


def best(verify: Callable[[T], object], items: Sequence[T]) -> float:
    """CPU microseconds for one item, in the best round."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for item in items:
            verify(item)
        rounds.append((time.process_time() - started) / len(items) * 1e6)
    return min(rounds)


if __name__ == "__main__":
    sys.exit(main())
