"""Gunicorn's threaded worker, but a request gets a thread only when all of it is there.

Gunicorn's own worker reads a request in the thread that serves it, without a limit of time: as many slow senders as
there are threads stop the service (16 connections at 2 workers of 8 threads, and no credentials are needed; seen
2026-11-27 with gunicorn 27). Here the worker's one loop, which waits for all connections at once, gathers each request
until it is whole; a slow sender costs a connection and some memory, and is answered 408 when its time is over. The loop
never waits for one connection.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import struct
import time
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any

import structlog
from gunicorn.workers.gthread import ThreadWorker

from app import problem_documents
from app.request_buffer import NotTaken, RequestBuffer

HEAD_SECONDS = 10.0
"""From the connection (or the request before it) to the end of the header fields."""
REQUEST_SECONDS = 20.0
"""From the first look at a connection to the end of the body, however steadily it comes."""
LINGER_SECONDS = 2.0
"""How long a connection is still read after its answer, so that the answer is not lost (RFC 9112, section 9.6)."""
MOST_DROPPED = 1024 * 1024
"""Bytes that are read after an answer and dropped; who sends more finds the connection reset."""
LAST_LOOK_SECONDS = 1.0
"""How long a worker that stops waits for the first byte on a connection."""
SOCKET_SECONDS = 30
"""The longest that a thread waits for one connection to take a piece of its answer."""
MOST_GATHERED = 64 * 1024 * 1024
"""Bytes of requests that are not whole, in one worker; who sends more then is answered 503."""
_PIECE = 64 * 1024
_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Sender:
    """A connection that has no thread: its request is not whole, or its answer is on its way."""

    conn: Any
    since: float
    buffer: RequestBuffer = field(default_factory=RequestBuffer)
    taken: int = 0
    """Bytes of it that count among the gathered ones."""
    dropped: int = 0
    continued: bool = False
    refused: bool = False

    def ends(self) -> float:
        """When its time is over."""
        if self.refused:
            return self.since + LINGER_SECONDS
        return self.since + (REQUEST_SECONDS if self.buffer.has_head else HEAD_SECONDS)


class GatheringWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Overrides what gives a connection to a thread (`enqueue_req`) and what takes it back (`finish_request`).

    All of this runs in the worker's main thread.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._senders: set[_Sender] = set()
        self._gathered = 0

    def enqueue_req(self, conn: Any) -> None:
        """Called for a new connection, a kept one that became readable, and a request that was read ahead."""
        if self.cfg.is_ssl or conn.is_http2:
            super().enqueue_req(conn)
            return
        try:
            if not conn.initialized:
                conn.init()
                _limit_threads_wait(conn.sock)
            conn.sock.setblocking(False)
        except OSError:
            self._close(conn)
            return
        self._take(_Sender(conn, time.monotonic()), conn.parser.unreader.take_buffered())

    def _wait_for(self, sender: _Sender) -> None:
        """Most requests are there as a whole at the first look, and never come here."""
        if sender not in self._senders:
            self.poller.register(sender.conn.sock, selectors.EVENT_READ, partial(self._readable, sender))
            self._senders.add(sender)

    def _readable(self, sender: _Sender, _: object) -> None:
        if sender.refused:
            self._drop(sender)
        else:
            self._take(sender, b"")

    def _drop(self, sender: _Sender) -> None:
        """One piece for each look: whoever goes on sending must not hold the loop."""
        with contextlib.suppress(BlockingIOError):
            try:
                piece = sender.conn.sock.recv(_PIECE)
                sender.dropped += len(piece)
                if piece and sender.dropped <= MOST_DROPPED:
                    return
            except ConnectionError:
                pass
            self._forget(sender)
            self._close(sender.conn)

    def _take(self, sender: _Sender, piece: bytes) -> None:
        """Take what has come, until the request is whole or nothing more is there."""
        try:
            while True:
                if piece and self._add(sender, piece):
                    self._hand_over(sender)
                    return
                piece = sender.conn.sock.recv(_PIECE)
                if not piece:
                    self._forget(sender)
                    self._close(sender.conn)
                    return
        except BlockingIOError:
            self._wait_for(sender)
            self._bid_continue(sender)
        except NotTaken as refusal:
            self._refuse(sender, refusal)
        except OSError:
            self._forget(sender)
            self._close(sender.conn)

    def _add(self, sender: _Sender, piece: bytes) -> bool:
        if self._gathered + len(piece) > MOST_GATHERED:
            raise NotTaken(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", "Too many unfinished requests. Try again.")
        self._gathered += len(piece)
        sender.taken += len(piece)
        return sender.buffer.add(piece)

    def _bid_continue(self, sender: _Sender) -> None:
        """A client that waits before it sends its body is bidden to go on: there is room, or it would be refused."""
        if sender.buffer.expects_continue and not sender.continued:
            sender.continued = True
            with contextlib.suppress(OSError):
                sender.conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _hand_over(self, sender: _Sender) -> None:
        self._forget(sender)
        sender.conn.parser.unreader.unread(bytes(sender.buffer.data))
        super().enqueue_req(sender.conn)

    def _refuse(self, sender: _Sender, refusal: NotTaken) -> None:
        request_id = uuid.uuid4().hex  # whatever id the sender gave is not read: the request may be no HTTP at all
        told = {"status": refusal.status.value, "code": refusal.code, "why": refusal.title}
        _log.warning("request_not_taken", **told, request_id=request_id)
        with contextlib.suppress(OSError):
            sender.conn.sock.send(_answer(refusal, request_id))
        self._release(sender)
        self._say_goodbye(sender)

    def _say_goodbye(self, sender: _Sender) -> None:
        """No more is sent. What still comes is dropped, until the client closes or the time for that is over."""
        sender.refused, sender.since = True, time.monotonic()
        try:
            sender.conn.sock.setblocking(False)
            sender.conn.sock.shutdown(socket.SHUT_WR)
            self._wait_for(sender)
        except (OSError, ValueError):  # it is closed already
            self._forget(sender)
            self._close(sender.conn)

    def finish_request(self, conn: Any, done: Future[Any]) -> None:
        """After an answer. Gunicorn waits here, in the loop, for a client that does not close its connection."""
        if done.cancelled() or done.exception() is not None or done.result() or conn.is_http2 or self.cfg.is_ssl:
            super().finish_request(conn, done)
            return
        self._say_goodbye(_Sender(conn, time.monotonic()))

    def murder_pending(self) -> None:
        """Called by the loop at least once in a second: ends the connections whose time is over."""
        super().murder_pending()
        now = time.monotonic()
        for sender in [one for one in self._senders if self._is_over(one, now)]:
            if sender.refused or not sender.buffer.data:
                self._forget(sender)
                self._close(sender.conn)
            else:
                late = NotTaken(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The request did not come in time.")
                self._refuse(sender, late)

    def _is_over(self, sender: _Sender, now: float) -> bool:
        stops = not self.alive and not sender.buffer.data and now > sender.since + LAST_LOOK_SECONDS
        return stops or now > sender.ends()

    def _forget(self, sender: _Sender) -> None:
        self._release(sender)
        if sender in self._senders:
            self._senders.remove(sender)
            with contextlib.suppress(KeyError, ValueError, OSError):
                self.poller.unregister(sender.conn.sock)

    def _release(self, sender: _Sender) -> None:
        self._gathered -= sender.taken
        sender.taken = 0

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()


def _limit_threads_wait(sock: socket.socket) -> None:
    """A thread that sends an answer waits so long for a client that takes nothing of it."""
    limit = struct.pack("ll", SOCKET_SECONDS, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)


def _answer(refusal: NotTaken, request_id: str) -> bytes:
    """A problem document, as the application writes them."""
    status = refusal.status
    document = problem_documents.members_of(status.value, refusal.code, refusal.title, request_id)
    body = json.dumps(document).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {problem_documents.CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\nX-Content-Type-Options: nosniff\r\n"
        f"Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
