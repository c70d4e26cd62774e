"""What was verified once is not verified again, and nothing else is remembered."""

from __future__ import annotations

from datetime import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from plugins.apple.chains import Chains
from plugins.apple.recent import Recent
from plugins.apple.signed_data import App, Refused, SignedData
from plugins.apple.simulated.certificates import make_signer
from tests.plugins.apple.world import Shop


class CountingChains(Chains):
    """Counts how often a key is wanted."""

    wanted = 0

    def key_at(self, x5c: tuple[str, ...], moment: datetime) -> EllipticCurvePublicKey:
        self.wanted += 1
        return super().key_at(x5c, moment)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def chains(shop: Shop) -> CountingChains:
    return CountingChains((shop.store.signer.root,))


def reader(chains: Chains, *environments: str, bundle_id: str = "com.example.coins") -> SignedData:
    return SignedData(App(bundle_id, 1234567890, environments or ("Sandbox",)), chains)  # type: ignore[arg-type]


def test_a_document_that_comes_again_is_not_verified_again(shop: Shop, chains: CountingChains) -> None:
    texts, signed_data = [shop.signed(shop.buy()) for _ in range(3)], reader(chains)
    first = [dict(signed_data.transaction(text)) for text in texts]
    again = [dict(signed_data.transaction(text)) for text in texts]
    assert first == again
    assert chains.wanted == 3
    assert chains.kept == 1


def test_a_forged_document_is_judged_each_time_it_comes(shop: Shop, chains: CountingChains) -> None:
    forged, signed_data = shop.signed(shop.buy(), make_signer(shop.clock.now())), reader(chains)
    for _ in range(3):
        with pytest.raises(Refused):
            signed_data.transaction(forged)
    assert chains.wanted == 3
    assert chains.kept == 0


def test_a_known_document_with_another_signature_is_another_document(shop: Shop, chains: CountingChains) -> None:
    text, other, signed_data = shop.signed(shop.buy()), shop.signed(shop.buy()), reader(chains)
    signed_data.transaction(text)
    signed_data.transaction(other)
    mixed = f"{text.rpartition('.')[0]}.{other.rpartition('.')[2]}"
    with pytest.raises(Refused):
        signed_data.transaction(mixed)


def test_a_known_document_is_still_asked_for_its_app_and_environment(shop: Shop, chains: CountingChains) -> None:
    signed_data = reader(chains)
    info = shop.store.signer.sign(
        {"environment": "Sandbox", "signedDate": shop.store.purchases.milliseconds(), "originalTransactionId": "1"}
    )
    about = {"environment": "Sandbox", "originalTransactionId": "1"}
    assert signed_data.renewal(info, about)
    with pytest.raises(Refused):
        signed_data.transaction(info)
    with pytest.raises(Refused):
        signed_data.notification(info)
    for other in ({"originalTransactionId": "2"}, {"environment": "Production"}):
        with pytest.raises(Refused):
            signed_data.renewal(info, about | other)


def test_only_so_many_are_remembered_and_the_oldest_goes_first() -> None:
    recent: Recent[str, int] = Recent(2)
    for name in ("a", "b"):
        recent.keep(name, ord(name))
    assert recent.get("a") == ord("a")
    recent.keep("c", ord("c"))
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (ord("a"), None, ord("c"))
    assert len(recent) == 2
