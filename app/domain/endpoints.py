"""Where events are sent: what the settings say about endpoints, and which addresses one may have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from app.domain.event_types import EventType
from app.domain.public_addresses import is_public

MOST_ENDPOINTS = 16
"""Endpoints of one installation. Each has threads of its own in the worker."""
MOST_SECRETS = 4
"""Secrets of one endpoint that sign at one time."""
LONGEST_URL = 1024
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class DeclaredEndpoint:
    """An endpoint that the settings name. No types: every event."""

    name: str
    url: str
    types: frozenset[EventType]
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PushRules:
    """How this installation sends events."""

    declared: Mapping[str, DeclaredEndpoint] = field(default_factory=dict)
    allow_private: bool = False
    """Whether endpoints may lie in private networks and use plain http: tests, demo, one machine."""
    ca_file: str = ""
    """Authorities whose certificates are trusted in place of the public ones; a file in PEM."""


class BadAddress(ValueError):
    """A URL that no endpoint may have, with what is wrong."""


def checked_url(url: str, *, allow_private: bool) -> str:
    """The URL, if an endpoint may have it. What its name leads to is checked when something is sent: names move.
    Raises BadAddress."""
    if len(url) > LONGEST_URL:
        raise BadAddress(f"longer than {LONGEST_URL} characters")
    if not _PRINTABLE.fullmatch(url):
        raise BadAddress("write an address of printable ASCII characters (punycode for other names)")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadAddress("not a web address") from None
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise BadAddress("write https://<host>/<path>")
    if not host or port == 0:
        raise BadAddress("not a web address")
    if parts.username is not None or parts.password is not None:
        raise BadAddress("a user and password do not belong into the address: the signature proves who sends")
    if parts.fragment:
        raise BadAddress("a fragment (#…) is not sent to a server")
    if not allow_private and _is_forbidden(host):
        raise BadAddress("the address is not on the public internet")
    return url


def _is_forbidden(host: str) -> bool:
    """An address in figures that is not public, or a name that every machine gives to itself."""
    try:
        ip_address(host)
    except ValueError:
        return host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")
    return not is_public(host)
