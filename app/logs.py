"""One JSON line per event, to standard error, with ids and without secrets."""

from __future__ import annotations

import logging
import sys
from datetime import date
from json import JSONEncoder
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


class _StandardError:
    """The standard error of the moment, whoever has replaced it since."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(*, json: bool = True) -> None:
    """Send structlog's and the standard library's lines the same way, replacing what a library may have set up.

    Each line is one write, its end included: several processes share one standard error, and would else write into
    each other's lines.
    """
    stream = cast(TextIO, _StandardError())
    writer = structlog.WriteLogger(stream)
    structlog.configure(
        processors=[*_SHARED, structlog.processors.format_exc_info, _renderer(json=json)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: writer,
        # A cached logger would keep to what was configured when it was first used (a few microseconds a line).
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(json=json))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def formatter(*, json: bool = True) -> logging.Formatter:
    """Makes the standard library's records look like our own lines; their text is the `event`."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _renderer(json=json),
        ],
    )


def _renderer(*, json: bool) -> Processor:
    if not json:
        return structlog.dev.ConsoleRenderer()
    return _as_json


def _as_json(_: Any, __: str, line: EventDict) -> str:
    return _json_text(line)


def _written(value: object) -> str:
    """What is no JSON: a moment as ISO 8601, anything else as Python shows it."""
    return value.isoformat() if isinstance(value, date) else repr(value)


_json_text = JSONEncoder(ensure_ascii=False, default=_written).encode
"""Made once: `json.dumps` would make it for each line."""
