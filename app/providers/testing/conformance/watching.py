"""Watches what a piece of code lets out: log lines, printed text, exceptions, and uses of network and files."""

from __future__ import annotations

import contextlib
import io
import logging
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from structlog.testing import capture_logs

from app.providers import HttpResponse, KeyStore, StoredKey

_LINE_OF_A_KEY = 24


@dataclass
class Overheard:
    """Texts that came out, by where: `logs`, `errors`, `results`."""

    logs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)


class _Collecting(logging.Handler):
    def __init__(self, texts: list[str]) -> None:
        super().__init__(level=logging.NOTSET)
        self._texts = texts
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._texts += [self.format(record), repr(record.__dict__)]


@contextlib.contextmanager
def overhearing(texts: list[str]) -> Iterator[None]:
    """Collect all that is logged (standard library and structlog, every level) or printed meanwhile."""
    root, handler, printed = logging.getLogger(), _Collecting(texts), io.StringIO()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.NOTSET)
    try:
        with capture_logs() as events, contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        texts += [*(repr(event) for event in events), printed.getvalue()]


def text_of(error: BaseException) -> str:
    """All that an error says, its causes and contexts included."""
    texts = traceback.format_exception(error)
    link: BaseException | None = error
    while link is not None:
        texts += [repr(link), repr(link.args), repr(getattr(link, "__dict__", {}))]
        link = link.__cause__ or link.__context__
    return "\n".join(texts)


def secret_pieces(secret: str) -> list[str]:
    """What gives a secret away: itself, and for a key of several lines each line of its content."""
    lines = [line.strip() for line in secret.splitlines()]
    inner = [line for line in lines if len(line) >= _LINE_OF_A_KEY and not line.startswith("-----")]
    return [secret, repr(secret)[1:-1], *inner]


def leaked(secrets: tuple[str, ...], texts: list[str]) -> str | None:
    """The first text in which a secret appears (with the secret blotted out), or None."""
    for secret in secrets:
        for piece in secret_pieces(secret):
            for text in texts:
                if piece in text:
                    return text.replace(piece, "<HERE>")[:2_000]
    return None


class CountedSilence:
    """An HTTP client that reaches nothing and counts who tried."""

    def __init__(self) -> None:
        self.calls = 0

    def request(self, method: str, url: str, **_: object) -> HttpResponse:
        self.calls += 1
        raise AssertionError("a request from within receive")


class GuardedKeys:
    """A key store that counts writes."""

    def __init__(self, inner: KeyStore) -> None:
        self._inner = inner
        self.puts = 0

    def get(self, name: str) -> StoredKey | None:
        return self._inner.get(name)

    def all(self) -> tuple[StoredKey, ...]:
        return self._inner.all()

    def put(self, key: StoredKey) -> None:
        self.puts += 1


@contextlib.contextmanager
def no_outside() -> Iterator[list[str]]:
    """Network and files are closed meanwhile; yields the list of attempts to use them."""
    attempts: list[str] = []

    def refuse(name: str) -> Any:
        def refused(*_: object, **__: object) -> None:
            attempts.append(name)
            raise OSError(f"{name} within receive")

        return refused

    with contextlib.ExitStack() as stack:
        for name in ("socket.socket.connect", "socket.getaddrinfo", "builtins.open", "time.sleep"):
            stack.enter_context(mock.patch(name, refuse(name)))
        yield attempts


def parts_of(thing: object, levels: int = 4) -> Iterator[object]:
    """The plugin's own objects that the thing is made of, itself first: those that might print what they hold."""
    inner: Iterable[object] = ()
    if isinstance(thing, Mapping):
        inner = thing.values()
    elif isinstance(thing, list | tuple | set | frozenset):
        inner = thing
    elif not type(thing).__module__.startswith(("builtins", "app.", "cryptography", "datetime", "pydantic")):
        yield thing
        slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
        named = {**{name: getattr(thing, name, None) for name in slots}, **getattr(thing, "__dict__", {})}
        inner = named.values()
    for part in inner if levels else ():
        yield from parts_of(part, levels - 1)
