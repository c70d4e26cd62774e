"""Public keys of providers: in the database for all processes, in memory for reading."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.providers.tools import StoredKey
from app.services.accounts.provider_keys import COPY_SECONDS, DatabaseKeys
from app.services.base.transaction import Sessions
from app.worker import Worker
from tests.support.world import World


def store(world: World, account: str = "sandbox") -> DatabaseKeys:
    return DatabaseKeys(account, lambda: world.core.whole.sessions, world.clock)


def test_a_key_put_by_one_process_is_there_for_another_after_a_minute_at_most(world: World) -> None:
    writer, reader = store(world), store(world)
    reader.reload_if_old()
    key = StoredKey("serial-1", b"\x00\xff public", world.clock.now() + timedelta(days=1))
    writer.put(key)
    assert writer.get("serial-1") == key
    assert reader.get("serial-1") is None
    reader.reload_if_old()
    assert reader.all() == ()
    world.clock.advance(COPY_SECONDS)
    reader.reload_if_old()
    assert reader.all() == (key,)


def test_the_first_reading_does_not_wait_for_a_minute(world: World) -> None:
    store(world).put(StoredKey("a", b"1"))
    reader = store(world)
    reader.reload_if_old()
    assert reader.get("a") == StoredKey("a", b"1")


def test_putting_again_replaces_and_accounts_are_apart(world: World) -> None:
    keys = store(world)
    keys.put(StoredKey("a", b"1"))
    keys.put(StoredKey("a", b"2"))
    keys.reload()
    assert keys.all() == (StoredKey("a", b"2"),)
    other = store(world, "other")
    other.reload()
    assert other.all() == ()


def test_a_worker_that_starts_has_the_keys_that_another_fetched(world: World) -> None:
    """Its provider may be away just now, and the answers to its questions must be verified all the same."""
    store(world).put(StoredKey("a", b"1"))
    keys = store(world)
    Worker(world.core, [keys]).run_once()
    assert keys.get("a") == StoredKey("a", b"1")


def test_reading_never_waits_for_the_database(world: World) -> None:
    class NoSessions:
        def __call__(self, *_: Any) -> Sessions:
            raise AssertionError("the database was asked")

    keys = DatabaseKeys("sandbox", NoSessions(), world.clock)
    assert keys.get("a") is None
    assert keys.all() == ()
