"""The app's backend as an endpoint sees it: a real HTTP server that verifies with the library of Standard Webhooks."""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sqlalchemy import insert, select
from standardwebhooks import Webhook

from app.domain.endpoints import PushRules
from app.domain.event_types import EventType
from app.domain.ledger import microseconds
from app.domain.numbers import slot_of_user
from app.models.endpoints import DELIVERIES, ENDPOINTS
from app.models.events import EVENTS
from app.models.slot_guard import sweep
from app.services.base.context import Core, Rules
from app.services.base.outbox import event_id
from app.services.events import deliveries, endpoints, feed
from app.services.events.delivery_rounds import Dispatcher
from app.services.events.endpoints import NewEndpoint
from tests.support.world import World

PRIVATE = Rules(push=PushRules(allow_private=True))
"""The receivers of these tests are on this machine."""


@dataclass(frozen=True)
class Message:
    """What came in, with the headers in lower case."""

    body: bytes
    headers: dict[str, str]

    @property
    def content(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def user(self) -> str:
        return str(self.content["user"])

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed_with(self, secret: str) -> bool:
        """As the library signs it. The clock of these tests is not that of the library, which `verify` would ask."""
        at = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        return Webhook(secret).sign(self.id, at, self.body.decode()) in self.headers["webhook-signature"].split(" ")


Answer = Callable[[BaseHTTPRequestHandler, Message], None]


def answering(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, _: Message) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def dying(handler: BaseHTTPRequestHandler, _: Message) -> None:
    """The connection ends without a word."""
    handler.close_connection = True
    handler.connection.close()


def speaking_garbage(handler: BaseHTTPRequestHandler, _: Message) -> None:
    handler.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
    handler.close_connection = True


@dataclass
class Receiver:
    """Keeps what came in, and answers as the test says."""

    url: str = ""
    answer: Answer = field(default_factory=lambda: answering(204))
    got: list[Message] = field(default_factory=list)
    """Every request, in the order of coming."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, user: str) -> list[int]:
        """The numbers that the test gave to the events of that user, in the order of their coming."""
        return [message.content["data"]["number"] for message in self.got if message.user == user]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            return  # the sender died while it was sending: nothing that could be verified
        message = Message(body, {name.lower(): value for name, value in self.headers.items()})
        with self.receiver.lock:
            self.receiver.got.append(message)
        self.receiver.answer(self, message)

    do_GET = do_POST  # noqa: N815 - the name is the library's; a redirection that is followed would come so

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def receiving(answer: Answer | None = None) -> Iterator[Receiver]:
    """A receiver on this machine."""
    receiver = Receiver()
    if answer is not None:
        receiver.answer = answer
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign] - a connection that a test breaks
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/events?from=tillbook"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def pushing(world: World) -> World:
    """The world with endpoints allowed on this machine."""
    return world.with_rules(replace(world.core.rules, push=PRIVATE.push))


def add(core: Core, receiver: Receiver, name: str = "game", *types: EventType) -> str:
    """An endpoint there; its secret."""
    wanted = NewEndpoint(name, receiver.url, types, endpoints.BY_API, "backend:test")
    core.house.transact(lambda tx: endpoints.add_endpoint(tx, wanted))
    return secret_of(core, name)


def secret_of(core: Core, name: str = "game") -> str:
    secret: str = endpoint(core, name).secrets[0]["secret"]
    return secret


def endpoint(core: Core, name: str = "game") -> Any:
    return core.whole.read(lambda tx: tx.execute(select(ENDPOINTS).where(ENDPOINTS.c.name == name)).one())


def tell(core: Core, user: str, number: int, kind: EventType = EventType.COINS_CREDITED) -> uuid.UUID:
    """Write an event with that number in its data, in its place of the feed."""
    slot, now = slot_of_user(user), core.clock.now()
    new = event_id(slot, microseconds(now))
    row = {
        "slot": slot,
        "id": new,
        "user_id": user,
        "type": kind,
        "at": now,
        "version": microseconds(now) + number,
        "body": {"data": {"number": number, "note": "金币"}, "cause": {"by": "rule"}},
    }
    core.whole.transact(lambda tx: tx.execute(insert(EVENTS).values(row)))
    feed.place_events(core)
    return new


def plan(core: Core) -> int:
    """Plan what is new for the endpoint; how many events these were."""
    row = endpoint(core)
    return sum(core.guarded(lambda place: deliveries.plan_deliveries(place, row)).values())


def deliveries_of(core: Core, user: str | None = None) -> list[Any]:
    """Rows of deliveries in the order of the feed."""
    wanted = select(DELIVERIES).prefix_with(sweep("deliveries")).order_by(DELIVERIES.c.position)
    rows = core.whole.read(lambda tx: tx.execute(wanted).all())
    return [row for row in rows if user is None or row.user_id == user]


def send_rounds(core: Core) -> None:
    """What a worker does about events until nothing is to be done, in a process of its own."""
    dispatcher = Dispatcher(replace(core, rules=PRIVATE))
    while dispatcher.run_once():
        pass


class AppliesOnce:
    """The recipe of docs/events.md: the effect and the event's id are written together, and an id that is there already
    is answered as taken."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.numbers: dict[str, list[int]] = {}
        self._lock = threading.Lock()

    def apply(self, message: Message) -> bool:
        """True if the event is new."""
        with self._lock:
            if message.id in self.ids:
                return False
            self.ids.add(message.id)
            self.numbers.setdefault(message.user, []).append(message.content["data"]["number"])
            return True
