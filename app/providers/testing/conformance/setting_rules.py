"""Rules for settings, declared traits and the optional verb `refresh`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from app.providers import Kind, Misconfigured, Provider, ProviderError, Refreshes, Tools, capabilities
from app.providers.testing.conformance.checks import (
    RuleGroup,
    accepted,
    attempt,
    facts_of,
    has,
    of_kind,
    offline,
    online,
    quiet_tools,
    where,
)
from app.providers.testing.conformance.journeys import BreakingHttp, paid
from app.providers.testing.doubles import MemoryKeys

ONE_YEAR = timedelta(days=365)
NOT_A_FIELD = "a_field_that_nobody_declared"


class SettingRules(RuleGroup):
    """What can be wrong before the first payment."""

    def test_an_empty_secret_is_refused(self) -> None:
        """Settings with a secret missing its content raise Misconfigured: an empty key would let anybody sign."""
        world = self.world()
        assert world.secrets(), "World.secrets is empty"
        for secret in world.secrets():
            for empty in ("", " ", "\n"):
                spoilt = _with_secret(world.settings(), secret, empty)
                assert spoilt != world.settings(), "World.secrets names a text that is not among the settings"
                with pytest.raises(Misconfigured):
                    world.build(spoilt, quiet_tools(world))

    def test_an_unknown_setting_is_refused(self) -> None:
        """A misspelt setting is an error at start-up, not a default in silence."""
        world = self.world()
        with pytest.raises(Misconfigured, match=NOT_A_FIELD):
            world.build({**world.settings(), NOT_A_FIELD: "1"}, quiet_tools(world))

    def test_the_same_settings_build_the_same_account(self) -> None:
        """Account, currencies and ways are fixed by the settings, and there without a network."""
        world = self.world()
        one, other = offline(world), offline(world)
        assert (one.account, one.currencies, dict(one.ways)) == (other.account, other.currencies, dict(other.ways))
        assert one.ways, "no way of paying"
        assert bool(one.currencies) == world.traits.tells_money, "currencies are what PAID can be told in"

    def test_each_way_says_what_it_needs(self) -> None:
        """`World.intents` has one for each way; the way's model takes its `extra` and refuses unknown fields."""
        world = self.world()
        provider, intents = offline(world), world.intents()
        assert sorted(intent.way for intent in intents) == sorted(provider.ways), "one intent for each way"
        for intent in intents:
            model: type[BaseModel] = provider.ways[intent.way]
            model.model_validate(dict(intent.extra))
            with pytest.raises(ValidationError, match=NOT_A_FIELD):
                model.model_validate({**intent.extra, NOT_A_FIELD: "1"})

    def test_the_declared_traits_are_true(self) -> None:
        """The world's traits are how the provider is: none is declared to be rid of a rule."""
        world = self.world()
        traits, provider = world.traits, online(world)
        assert capabilities(provider) == traits.verbs, f"the provider has {capabilities(provider)}"
        read = accepted(provider, world.samples()["paid"].message, "paid")
        assert bool(of_kind(read.facts, Kind.PAID)) == traits.messages_prove, "Traits.messages_prove"
        assert read.asks or traits.messages_prove, "the paid sample neither states nor names a payment"
        _, payment = paid(world, provider)
        for fact in (payment, *of_kind(read.facts, Kind.PAID)):
            assert (fact.ref.ours is not None) == traits.names_our_number, "Traits.names_our_number"
            assert (fact.money is not None) == traits.tells_money, "Traits.tells_money"
        worded = traits.has_status_words and traits.messages_prove
        assert bool(world.document().status) == worded, "Traits.has_status_words"
        assert traits.signs_replies or not world.liars(), "Traits.signs_replies"
        if traits.freshness is None:
            self._check_never_stale()

    def _check_never_stale(self) -> None:
        world = self.world()
        provider, message = offline(world), world.samples()["paid"].message
        world.clock.advance(ONE_YEAR.total_seconds())
        facts_of(provider, message, "a message of last year, though Traits.freshness is None")


class RefreshRules(RuleGroup):
    """Keys that the provider publishes."""

    @where(has("refresh"))
    def test_refresh_brings_the_keys(self) -> None:
        """From an empty key store, `refresh` alone makes genuine messages readable, also by another instance."""
        world, keys = self.world(), MemoryKeys()
        tools = Tools(http=world.http, clock=world.clock, keys=keys, live=False)
        _refresh(world.make_provider(tools))
        assert keys.all(), "refresh stored no key"
        facts_of(world.make_provider(tools), world.samples()["paid"].message, "after refresh")

    @where(has("refresh"))
    def test_refresh_believes_no_liar(self) -> None:
        """Keys from an impostor, or from a broken line, are not stored; the error is a ProviderError."""
        world = self.world()
        broken = {
            fault: BreakingHttp(world.http, fault) for fault in ("timeout", "garbage", "empty", "html", "error500")
        }
        for name, http in {**world.liars(), **broken}.items():
            keys = MemoryKeys()
            provider = world.make_provider(Tools(http=http, clock=world.clock, keys=keys, live=False))
            result = attempt(partial(_refresh, provider), f"refresh, {name}")
            assert isinstance(result, ProviderError), f"refresh, {name}: no error"
            assert not keys.all(), f"refresh, {name}: stored a key"


def _refresh(provider: Provider) -> None:
    assert isinstance(provider, Refreshes), "World.traits declares refresh, but the provider has no such verb"
    provider.refresh()


def _with_secret(settings: Mapping[str, Any], secret: str, value: str) -> dict[str, Any]:
    """The settings with that secret replaced, in inner tables too."""
    return {
        name: _with_secret(old, secret, value) if isinstance(old, Mapping) else value if old == secret else old
        for name, old in settings.items()
    }
