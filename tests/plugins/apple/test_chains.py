"""A chain is verified once, and its leaf's key kept for as long as it is good."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier

from app.providers import Misconfigured
from app.providers.testing.doubles import FixedClock
from plugins.apple.chains import Chains, UntrustedChain
from plugins.apple.roots import APPLE_ROOT_CA_G3_SHA256, apple_root, pinned
from plugins.apple.signed_data import App, SignedData
from plugins.apple.simulated.certificates import make_signer
from tests.plugins.apple.world import Shop

NOW = FixedClock().now()
SIGNER = make_signer(NOW)


def test_a_chain_seen_before_gives_the_very_same_key() -> None:
    chains = Chains((SIGNER.root,))
    assert chains.key_at(SIGNER.x5c, NOW) is chains.key_at(SIGNER.x5c, NOW + timedelta(days=1))


def test_a_kept_chain_is_not_good_outside_its_validity() -> None:
    chains = Chains((SIGNER.root,))
    chains.key_at(SIGNER.x5c, NOW)
    for days in (-366, 366):
        with pytest.raises(UntrustedChain):
            chains.key_at(SIGNER.x5c, NOW + timedelta(days=days))
    chains.key_at(SIGNER.x5c, NOW)


def test_an_untrusted_chain_is_not_kept() -> None:
    chains = Chains((SIGNER.root,))
    with pytest.raises(UntrustedChain):
        chains.key_at(make_signer(NOW).x5c, NOW)
    assert chains.kept == 0


def test_no_more_chains_are_kept_than_allowed() -> None:
    signers = [make_signer(NOW) for _ in range(4)]
    chains = Chains(tuple(signer.root for signer in signers), kept=2)
    for signer in [*signers, *signers]:
        assert chains.key_at(signer.x5c, NOW).public_numbers() == signer.key.public_key().public_numbers()
        assert chains.kept <= 2


def test_the_chain_used_last_is_dropped_last() -> None:
    often, *others = [make_signer(NOW) for _ in range(3)]
    chains = Chains(tuple(signer.root for signer in (often, *others)), kept=2)
    key = chains.key_at(often.x5c, NOW)
    for other in others:
        chains.key_at(other.x5c, NOW)
        assert chains.key_at(often.x5c, NOW) is key


def test_threads_may_share_it() -> None:
    chains, wrong = Chains((SIGNER.root,), kept=1), []

    def use() -> None:
        for _ in range(50):
            if chains.key_at(SIGNER.x5c, NOW).public_numbers() != SIGNER.key.public_key().public_numbers():
                wrong.append(1)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_apples_root_is_the_pinned_one_and_no_other_is() -> None:
    root = apple_root()
    assert pinned(root, APPLE_ROOT_CA_G3_SHA256) == root
    with pytest.raises(Misconfigured):
        pinned(root[:-1] + bytes([root[-1] ^ 1]))
    with pytest.raises(Misconfigured):
        pinned(SIGNER.root)


def test_a_transaction_of_a_known_chain_costs_a_fifth_of_the_librarys_time_at_most() -> None:
    """Measured at 16 to 27 times its rate (`bench/apple_receipts.py`)."""
    shop = Shop()
    texts = [shop.signed(shop.buy()) for _ in range(20)]
    library = SignedDataVerifier([shop.store.signer.root], False, Environment.SANDBOX, "com.example.coins")
    ours = SignedData(App("com.example.coins", None, ("Sandbox",)), Chains((shop.store.signer.root,)))
    spent = [
        min(_seconds(verify, texts) for _ in range(3))
        for verify in (library.verify_and_decode_signed_transaction, ours.transaction)
    ]
    assert spent[1] * 5 < spent[0]


def _seconds(verify: Callable[[str], object], texts: list[str]) -> float:
    started = time.process_time()
    for text in texts:
        verify(text)
    return time.process_time() - started
