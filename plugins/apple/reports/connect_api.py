"""App Store Connect, which hands out a vendor's reports. Another service than the App Store Server API, with a key of
its own: a *team* key of the role Finance (or Sales, for sales reports alone); an individual key does not do."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlencode

import jwt

from app.providers import Clock, HttpClient, HttpResponse, Misconfigured, Retryable, Unknown
from plugins.apple.jws import MalformedJws, read_json
from plugins.apple.reports.tables import MAX_REPORT_BYTES
from plugins.apple.server_api import AUDIENCE, TOKEN_SECONDS
from plugins.apple.settings import TeamKey

SALES_VERSION = "1_0"
_VERSION = re.compile(r"\b([1-9][0-9]?_[0-9]{1,2})\b", re.ASCII)
_ACCEPT = "application/a-gzip"


@dataclass(frozen=True, slots=True)
class ReportWanted:
    """One report in Apple's words."""

    path: str
    type: str
    date: str
    sub_type: str = ""
    frequency: str = ""
    version: str = ""
    region: str = ""

    def filters(self, vendor_number: str) -> dict[str, str]:
        named = {
            "vendorNumber": vendor_number,
            "reportType": self.type,
            "reportSubType": self.sub_type,
            "frequency": self.frequency,
            "regionCode": self.region,
            "reportDate": self.date,
            "version": self.version,
        }
        return {f"filter[{name}]": value for name, value in named.items() if value}


class ConnectApi:
    """One vendor's view of App Store Connect."""

    def __init__(self, http: HttpClient, clock: Clock, key: TeamKey, host: str) -> None:
        self._http = http
        self._clock = clock
        self._key = key
        self._host = host

    def report(self, wanted: ReportWanted) -> bytes | None:
        """The report as it came, mostly compressed. None: there is none, or not yet, which Apple does not tell apart.

        A version that is out of date is answered with a 400 that names the latest one (seen 2026-06): that one is asked
        for, since columns are found by name.
        """
        answer = self._get(wanted)
        if answer.status == 400 and wanted.version:
            latest = [text for text in _VERSION.findall(_text(answer)) if text != wanted.version]
            if latest:
                answer = self._get(replace(wanted, version=latest[-1]))
        if answer.status == 200:
            return answer.body
        if answer.status == 404 and _says(answer, "404"):
            return None
        raise _error(answer)

    def _get(self, wanted: ReportWanted) -> HttpResponse:
        url = f"{self._host}{wanted.path}?{urlencode(wanted.filters(self._key.vendor_number))}"
        headers = {"authorization": f"Bearer {self._token(wanted.path)}", "accept": _ACCEPT}
        return self._http.request("GET", url, headers=headers, max_bytes=MAX_REPORT_BYTES)

    def _token(self, path: str) -> str:
        """Good for this one path (Apple's page shows scopes without a query): a token that leaks is good for little."""
        now = self._clock.now()
        claims = {
            "iss": self._key.issuer_id,
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(seconds=TOKEN_SECONDS)).timestamp()),
            "aud": AUDIENCE,
            "scope": [f"GET {path}"],
        }
        return jwt.encode(claims, self._key.key, algorithm="ES256", headers={"kid": self._key.key_id})


def _text(answer: HttpResponse) -> str:
    return answer.body[:4096].decode("utf-8", "replace")


def _says(answer: HttpResponse, status: str) -> bool:
    """Whether the error document is Apple's: a proxy's page that something is not found says nothing of reports."""
    try:
        errors = read_json(answer.body).get("errors")
    except MalformedJws:
        return False
    return isinstance(errors, list) and any(isinstance(one, dict) and one.get("status") == status for one in errors)


def _error(answer: HttpResponse) -> Exception:
    text, code = f"App Store Connect answered {answer.status}", str(answer.status)
    if answer.status == 429:
        return Retryable(text, code=code)
    if answer.status in (401, 403):
        return Misconfigured(f"{text}: the team key, its role, the issuer or the clock is wrong", code=code)
    if 400 <= answer.status < 500 and _says(answer, code):
        return Misconfigured(f"{text}: the vendor number is wrong, or reports are asked for in another way", code=code)
    return Unknown(text, code=code)
