"""Real processes of our own for tests: what a web process or a worker does, in a process that may be killed.

Each is forked from a clean server process (`forkserver`), so that starting one costs milliseconds. The simulated
provider lives in the test's process and is called over HTTP.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from app import logs
from app.domain.numbers import NumberSource
from app.providers.facts import Message
from app.providers.http import HttpClient, HttpResponse, RequestsClient
from app.providers.registry import ProviderAccount, Registry
from app.providers.testing.doubles import FixedClock, MemoryKeys
from app.providers.tools import Tools
from app.services.base.context import Core
from app.services.base.idempotency import keyed
from app.services.calls import payment_starts
from app.services.intake import notifications
from app.services.payments import orders
from app.services.payments.orders import NewOrder, PayBy
from app.worker import Worker
from plugins.sandbox import plugin
from tests.support import databases
from tests.support.faults import Fuse, fused_engine, killing
from tests.support.lanes import ABOUT_PAYMENTS, SomeLanes
from tests.support.world import SECRET, World

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Place:
    """All that a process needs to know of the test's world."""

    database: str
    provider: str
    now: datetime


class _Mute(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Say nothing: thousands of lines would hide what failed."""


class FusedHttp:
    """Steps before and after each call to the provider."""

    def __init__(self, inner: HttpClient, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    def request(self, method: str, url: str, **details: Any) -> HttpResponse:
        self._fuse.step("before call")
        answer = self._inner.request(method, url, **details)
        self._fuse.step("after call")
        return answer


@contextlib.contextmanager
def place_of(world: World) -> Iterator[Callable[[], Place]]:
    """Serves the world's provider over HTTP; gives the place as it is at the moment of asking."""
    server = make_server("127.0.0.1", 0, world.provider_app, threaded=True, request_handler=_Mute)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    engine = world.core.whole.sessions.kw["bind"]
    database = engine.url.render_as_string(hide_password=False)
    try:
        yield lambda: Place(database, f"http://127.0.0.1:{server.server_port}", world.clock.now())
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def core_at(place: Place, fuse: Fuse) -> Core:
    """The test's service over its database and provider, in this process."""
    logs.configure()
    clock = FixedClock(place.now)
    tools = Tools(http=FusedHttp(RequestsClient(), fuse), clock=clock, keys=MemoryKeys(), live=False)
    settings = {"base_url": place.provider, "merchant": "m-1", "secret": SECRET}
    provider = plugin.build(plugin.settings.model_validate(settings), tools)
    return Core(
        databases=databases.databases_of(databases.sessions_for(fused_engine(place.database, fuse))),
        registry=Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)}),
        numbers=NumberSource(lambda: int(place.now.timestamp() * 1000)),
        clock=clock,
        public_url="https://pay.test",
    )


def run_and_kill(place: Place, at: int, flow: Callable[..., object], *args: Any) -> bool:
    """Run the flow in a process that is killed at its n-th step; False if it ended before it came to that."""
    process = CONTEXT.Process(target=_run, args=(place, at, flow, args))
    process.start()
    process.join(PATIENCE_SECONDS)
    if process.is_alive():
        process.kill()
        raise AssertionError(f"{flow.__name__} hangs when it is to be killed at step {at}")
    if process.exitcode not in (0, -9):
        raise AssertionError(f"{flow.__name__} ended with {process.exitcode}")
    return process.exitcode == -9


def _run(place: Place, at: int, flow: Callable[..., object], args: tuple[Any, ...]) -> None:
    fuse = Fuse(killing)
    core = core_at(place, fuse)
    with fuse.armed(at):
        flow(core, *args)


# --- what the processes do ---


def buy(core: Core, user: str) -> int:
    """Order and start paying, as the web does it for one request; the payment's number."""
    wanted = NewOrder(user, "coins-60", 1, PayBy("sandbox", "page"), "CNY")
    _, payment_id = orders.create_order(core, wanted, keyed(f"user:{user}", "the-key", "create_order", {}))
    payment_starts.start_payment(core, payment_id)
    return payment_id


def be_notified(core: Core, body: bytes, headers: dict[str, str]) -> int:
    account = core.registry.get("sandbox")
    assert account is not None
    return notifications.receive_notification(core, account, Message("notification", body, headers)).status


def work(core: Core) -> int:
    return Worker(core).run_once()


def work_on_payments(core: Core) -> int:
    """A worker's round of the lanes about payments and the ends of orders: the others would find nothing to do."""
    return SomeLanes(core, ABOUT_PAYMENTS).round()


def be_notified_by_many(place: Place, messages: list[tuple[bytes, dict[str, str]]]) -> list[int]:
    """All of them at once, each in a thread of this process."""
    core = core_at(place, Fuse(killing))
    with ThreadPoolExecutor(len(messages)) as pool:
        return list(pool.map(lambda message: be_notified(core, *message), messages))


def work_once(place: Place) -> int:
    return work(core_at(place, Fuse(killing)))
