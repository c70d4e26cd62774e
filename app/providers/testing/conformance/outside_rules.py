"""Rules for what gets out: secrets nowhere, nothing at all from `receive`, and no time wasted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from statistics import median

from app.providers import Message, Tools
from app.providers.testing.conformance.checks import RuleGroup, facts_in, needs_hook, online, quiet_tools
from app.providers.testing.conformance.journeys import calls_in
from app.providers.testing.conformance.spoiling import GARBAGE
from app.providers.testing.conformance.watching import (
    CountedSilence,
    GuardedKeys,
    Overheard,
    leaked,
    no_outside,
    overhearing,
    parts_of,
    text_of,
)
from app.providers.testing.conformance.world import World
from app.providers.testing.doubles import BrokenHttp, FixedClock

RECEIVE_SECONDS = 0.05
FAULTS = ("", "refused", "timeout", "garbage", "empty", "html", "html404", "json404", "error401", "error500")


class SecretRules(RuleGroup):
    """No secret gets out."""

    def test_no_secret_is_logged(self) -> None:
        """No secret in a log line (standard library, structlog, any level) or on the terminal."""
        world, overheard = self._overheard()
        _check_clean(world, overheard.logs, "a log line")

    def test_no_secret_is_in_an_exception(self) -> None:
        """No secret in the text of an exception, its arguments, causes and contexts."""
        world, overheard = self._overheard()
        _check_clean(world, overheard.errors, "an exception")

    def test_no_secret_is_in_what_is_kept(self) -> None:
        """No secret in a fact, its raw, an action for the client, or a reply."""
        world, overheard = self._overheard()
        _check_clean(world, overheard.results, "a result")

    def test_no_secret_is_in_a_repr(self) -> None:
        """No secret in how the provider, what it is made of, or its settings print themselves."""
        world = self.world()
        provider = online(world)
        settings = world.plugin.settings.model_validate(world.settings())
        printed = [text for part in parts_of(provider) for text in (repr(part), str(part))]
        _check_clean(world, [*printed, repr(settings), str(settings)], "a repr")

    @needs_hook("private_words")
    def test_no_private_word_is_kept(self) -> None:
        """No word of the payer's that the world names in a fact or its raw."""
        world, overheard = self._overheard()
        assert world.private_words(), "World.private_words is empty: leave the hook out, and say why in World.left_out"
        found = leaked(world.private_words(), overheard.results)
        assert found is None, f"a private word is in a result: {found}"

    def _overheard(self) -> tuple[World, Overheard]:
        return self.world(), _overheard_in(self.world_class)


class OutsideRules(RuleGroup):
    """What `receive` does to the world: nothing."""

    def test_receive_does_no_io(self) -> None:
        """No request, no socket, no file, no sleep and no write to the key store, whatever message comes."""
        world = self.world()
        silence, keys = CountedSilence(), GuardedKeys(world.keys())
        provider = world.make_provider(Tools(http=silence, clock=world.clock, keys=keys, live=False))
        messages = list(_all_messages(world))
        with no_outside() as attempts:
            for message in messages:
                _try(partial(provider.receive, message))
        assert silence.calls == 0, f"receive made {silence.calls} requests"
        assert not attempts, f"receive used {sorted(set(attempts))}"
        assert keys.puts == 0, "receive wrote to the key store"

    def test_receive_is_quick(self) -> None:
        """A message, genuine, bogus or huge, is read or refused within 50 ms (median)."""
        world = self.world()
        provider = online(world)
        for name, sample in world.samples().items():
            _check_quick(partial(provider.receive, sample.message), name)
        bogus = {**world.forgeries(), "a megabyte": replace(world.samples()["paid"].message, body=b"A" * 1_000_000)}
        for name, message in bogus.items():
            _check_quick(partial(provider.receive, message), name)


@lru_cache(maxsize=4)
def _overheard_in(world_class: type[World]) -> Overheard:
    """All that came out while everything was tried once; kept, since three rules look at it."""
    world, overheard = world_class(FixedClock()), Overheard()
    with overhearing(overheard.logs):
        for act in _everything(world):
            result = _try(act)
            if isinstance(result, Exception):
                overheard.errors.append(text_of(result))
            else:
                raws = [json.dumps(dict(fact.raw), default=repr) for fact in facts_in(result)]
                overheard.results += [repr(result), *raws]
    return overheard


def _everything(world: World) -> Iterator[Callable[[], object]]:
    """Every message and every verb, over sound, broken and lying lines: all that could make a plugin talk."""
    provider = online(world)
    yield from (partial(provider.receive, message) for message in _all_messages(world))
    lines = [BrokenHttp(world.http, fault) for fault in FAULTS]
    for http in (*lines, *world.liars().values()):
        yield from (partial(call.make, online(world, http)) for call in calls_in(world))
    for name, value in world.settings().items():
        if value in world.secrets():
            yield partial(world.build, {**world.settings(), name: f"x{value}"}, quiet_tools(world))


def _all_messages(world: World) -> Iterator[Message]:
    samples = world.samples()
    yield from (sample.message for sample in samples.values())
    yield from world.forgeries().values()
    yield from world.foreign().values()
    genuine = samples["paid"].message
    yield from (replace(genuine, body=body) for body in (*GARBAGE, genuine.body[:-1], genuine.body + b" "))
    for part in world.signature_parts:
        yield from (part.write(genuine, value) for value in (None, "", "x", part.read(genuine)[:-4]))


def _try(act: Callable[[], object]) -> object:
    """The result, or the exception itself: here only what it says matters."""
    try:
        return act()
    except Exception as error:
        return error


def _check_clean(world: World, texts: list[str], where: str) -> None:
    assert all(world.secrets()), "World.secrets names an empty secret"
    found = leaked(world.secrets(), texts)
    assert found is None, f"a secret is in {where}: {found}"


def _check_quick(act: Callable[[], object], name: str) -> None:
    spent = []
    for _ in range(11):
        before = time.perf_counter()
        _try(act)
        spent.append(time.perf_counter() - before)
    assert median(spent) < RECEIVE_SECONDS, f"{name}: receive takes {median(spent) * 1000:.0f} ms"
