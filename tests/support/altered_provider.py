"""A provider whose answers a test changes by hand, and which keeps what it was told to refund."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from app.domain.money import Money
from app.providers.facts import Fact, Ref
from app.providers.registry import ProviderAccount, Registry
from app.providers.verbs import Provider
from tests.support.world import World


class AlteredProvider:
    """The sandbox's provider, with what it answers changed by hand."""

    def __init__(self, real: Provider) -> None:
        self._real = real
        self.account, self.currencies, self.ways = real.account, real.currencies, real.ways
        self.start, self.receive = real.start, real.receive
        self.answers: Callable[[tuple[Fact, ...]], tuple[Fact, ...]] = lambda facts: facts
        self.sent: list[int] = []
        self.refusal: Exception | None = None

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return self.answers(self._real.query(ref))

    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        self.sent.append(money.minor)
        if self.refusal is not None:
            raise self.refusal
        return self._real.refund(ref, money, reason)  # type: ignore[attr-defined,no-any-return]


def altered(world: World) -> AlteredProvider:
    """Put it in the place of the world's provider."""
    provider = AlteredProvider(world.account.provider)
    account = ProviderAccount("sandbox", "sandbox", False, provider)
    world.core = replace(world.core, registry=Registry({"sandbox": account}))
    return provider
