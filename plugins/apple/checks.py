"""What `tillbook check` says beside what the settings refuse: roots that are not Apple's or end soon, and names of keys
that cannot be right. No call goes out."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.x509 import Certificate, load_der_x509_certificate

from plugins.apple.roots import apple_root
from plugins.apple.settings import AppleSettings, Environment, roots, server_urls

WARN_BEFORE = timedelta(days=30)
_KEY_ID = re.compile(r"[A-Z0-9]{10}", re.ASCII)


def check_roots(
    settings: AppleSettings, environments: tuple[Environment, ...], live: bool, now: datetime
) -> Iterator[str]:
    """The roots that are trusted: whoever holds the key of one can make purchases that count."""
    trusted = roots(settings, live)
    for der in trusted:
        yield from _check_root(load_der_x509_certificate(der), now)
    urls = server_urls(settings)
    at_apple = [urls[one] for one in environments if (urlsplit(urls[one]).hostname or "").endswith(".apple.com")]
    foreign = [der for der in trusted if der != apple_root()]
    if not at_apple or not foreign:
        return
    if len(foreign) == len(trusted):
        yield (
            f"trusted_roots names no root of Apple's, while the account asks {at_apple[0]}: nothing that the App Store"
            " signs is believed. Leave trusted_roots out, or give the addresses of the simulator"
        )
    else:
        yield (
            f"trusted_roots names {len(foreign)} beside Apple's own, while the account asks {at_apple[0]}: whoever"
            " holds such a root's key can forge purchases. Leave trusted_roots out"
        )


def check_names(settings: AppleSettings) -> Iterator[str]:
    """The names of the keys: with a wrong one each call is answered with 401."""
    named = {
        ("issuer_id", "In-App Purchase", "key_id"): (settings.issuer_id, settings.key_id),
        ("connect_issuer_id", "Team Keys", "connect_key_id"): (settings.connect_issuer_id, settings.connect_key_id),
    }
    for (issuer_name, where, key_name), (issuer, key_id) in named.items():
        if issuer is not None and not _is_uuid(issuer):
            yield f"{issuer_name} is no UUID: copy it from App Store Connect (Users and Access, Integrations, {where})"
        if key_id is not None and not _KEY_ID.fullmatch(key_id):
            file_name = "AuthKey_<key id>.p8"
            yield f"{key_name} is not ten capital letters and digits: take it from the key's file name, {file_name}"
    if settings.connect_key_id == settings.key_id:
        yield "connect_key_id is the In-App Purchase key's: reports are fetched with a team key, which is another one"


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _check_root(root: Certificate, now: datetime) -> Iterator[str]:
    name = root.subject.rfc4514_string() or "without a name"
    if not _certifies_itself(root):
        yield f"the trusted root {name} does not certify itself: it is the certificate of somebody below a root"
    if root.not_valid_after_utc <= now:
        yield f"the trusted root {name} ended on {root.not_valid_after_utc:%Y-%m-%d}"
    elif root.not_valid_after_utc - now < WARN_BEFORE:
        yield f"the trusted root {name} ends on {root.not_valid_after_utc:%Y-%m-%d}"


def _certifies_itself(certificate: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
