"""What `tillbook check` says about one provider account: its kind, its times, its certificates, its plugin's word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from app.cli.verdict import Verdict, VerdictLine
from app.config import Settings
from app.providers.errors import ProviderError
from app.providers.registry import ProviderAccount
from app.providers.verbs import Checks, least_seconds

WARN_DAYS = 30
"""A certificate that ends sooner is warned about: some providers take days to issue the next one."""
LONGEST_PATH = 1024
"""Characters; a longer text is no path of a file."""
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def account_lines(settings: Settings, account: ProviderAccount, now: datetime) -> Iterator[VerdictLine]:
    """All lines about the account. Building it has found already whatever can be found from its settings alone."""
    name = f"provider account {account.name}"
    text = f"{name}: {account.plugin}, {'live' if account.live else 'sandbox'}"
    if account.live or settings.env != "production":
        yield VerdictLine(Verdict.OK, text)
    else:
        yield VerdictLine(Verdict.WARNING, f"{text}: live = false in production, its payments are no real money")
    least = least_seconds(account.provider)
    if settings.order_minutes * 60 <= least:
        minutes = f"order_minutes = {settings.order_minutes} is less than it takes payments for"
        yield VerdictLine(Verdict.FAIL, f"{name}: {minutes}: write {least // 60 + 1} or more")
    yield from certificate_lines(name, settings.provider_accounts.get(account.name, {}), now)
    if isinstance(account.provider, Checks):
        yield from _asked(name, account.provider)


def _asked(name: str, provider: Checks) -> Iterator[VerdictLine]:
    """What the plugin itself has to say."""
    try:
        for warning in provider.check():
            yield VerdictLine(Verdict.WARNING, f"{name}: {warning}")
    except ProviderError as error:
        yield VerdictLine(Verdict.FAIL, f"{name}: {error}")


def certificate_lines(account: str, table: Mapping[str, Any], now: datetime) -> Iterator[VerdictLine]:
    """A line for each setting that holds certificates in PEM, as text or as the path of a file."""
    for name, value in sorted(table.items()):
        ends = _ends(_text_of(value))
        if ends is None:
            continue
        days = (ends - now) // timedelta(days=1)
        text = f"{account}: {name} is a certificate until {ends:%Y-%m-%d}"
        if ends <= now:
            yield VerdictLine(Verdict.FAIL, f"{text}: that is over, get the next one from the provider")
        elif days < WARN_DAYS:
            yield VerdictLine(Verdict.WARNING, f"{text}, {days} days from now: get the next one from the provider")
        else:
            yield VerdictLine(Verdict.OK, text)


def _text_of(value: object) -> str:
    if not isinstance(value, str) or _BEGIN in value or not 0 < len(value) <= LONGEST_PATH:
        return value if isinstance(value, str) else ""
    try:
        return Path(value).read_text(encoding="ascii") if Path(value).is_file() else ""
    except (OSError, ValueError):
        return ""


def _ends(text: str) -> datetime | None:
    """The end of the certificate; of a chain, its first one's, since those above live longer.

    Of a bundle of authorities, which begins with one that certifies itself: the latest end among them, for one that is
    over does not spoil the others. Certificates of kinds that cannot be read (SM2) count as none.
    """
    found = [certificate for part in text.split(_BEGIN)[1:] if (certificate := _read(part)) is not None]
    if not found:
        return None
    first = found[0]
    if first.subject != first.issuer:
        return first.not_valid_after_utc
    return max(certificate.not_valid_after_utc for certificate in found)


def _read(part: str) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate((_BEGIN + part.partition(_END)[0] + _END).encode())
    except ValueError:
        return None
