"""The simulated App Store Connect: who may have which report, and since when."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from plugins.apple.reports.calendar import Period, day_period, fiscal_month
from plugins.apple.server_api import AUDIENCE
from plugins.apple.simulated.reports import Reports

MAX_TOKEN_SECONDS = 1200
NO_REPORT = "There were no sales for the date specified."


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """Status, and either a report or Apple's error document."""

    status: int
    report: bytes = b""
    detail: str = ""

    @property
    def document(self) -> dict[str, Any]:
        return {"errors": [{"status": str(self.status), "code": f"SIMULATED.{self.status}", "detail": self.detail}]}


@dataclass(frozen=True, slots=True)
class Connect:
    """One vendor's door to the reports."""

    reports: Reports
    key: ec.EllipticCurvePrivateKey
    key_id: str
    issuer_id: str
    vendor_number: str
    sales_version: str = "1_0"

    def answer(self, path: str, filters: Mapping[str, str], token: str, now: datetime) -> ReportAnswer:
        if not self._accepts(token, path, now):
            return ReportAnswer(401, detail="Provide a properly configured and signed bearer token.")
        if filters.get("vendorNumber") != self.vendor_number:
            return ReportAnswer(403, detail="The vendor number is not this team's.")
        try:
            return self._sales(filters, now) if path == "/v1/salesReports" else self._finance(filters, now)
        except (KeyError, ValueError):
            return ReportAnswer(400, detail="A required parameter is missing, or has a value that is not allowed.")

    def _accepts(self, token: str, path: str, now: datetime) -> bool:
        options: Any = {"verify_exp": False, "verify_iat": False, "require": ["exp", "iat"]}
        try:
            claims = jwt.decode(
                token,
                self.key.public_key(),
                algorithms=["ES256"],
                audience=AUDIENCE,
                issuer=self.issuer_id,
                options=options,
            )
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError:
            return False
        seconds = now.timestamp()
        in_time = claims["iat"] - 60 <= seconds < claims["exp"] <= claims["iat"] + MAX_TOKEN_SECONDS
        in_scope = "scope" not in claims or f"GET {path}" in claims["scope"]
        return kid == self.key_id and in_time and in_scope

    def _sales(self, filters: Mapping[str, str], now: datetime) -> ReportAnswer:
        wanted = (filters["reportType"], filters["reportSubType"], filters["frequency"])
        if wanted != ("SALES", "SUMMARY", "DAILY"):
            raise ValueError("no such report here")
        if filters["version"] != self.sales_version:
            return ReportAnswer(
                400, detail=f"The version is not supported. The latest version for this report is {self.sales_version}."
            )
        period = day_period(date.fromisoformat(filters["reportDate"]))
        return _given(self.reports.sales(period), period, now)

    def _finance(self, filters: Mapping[str, str], now: datetime) -> ReportAnswer:
        kind, region = filters["reportType"], filters["regionCode"]
        period = fiscal_month(filters["reportDate"])
        if kind == "FINANCE_DETAIL" and region == "Z1":
            return _given(self.reports.detail(period), period, now)
        if kind != "FINANCIAL":
            raise ValueError("no such report here")
        return _given(self.reports.financial(period, None if region == "ZZ" else region), period, now)


def _given(report: bytes | None, period: Period, now: datetime) -> ReportAnswer:
    """Before it is due there is no report, which is answered as if nothing had been sold."""
    if report is None or now < period.due:
        return ReportAnswer(404, detail=NO_REPORT)
    return ReportAnswer(200, report)


def shown(report: bytes | None) -> str:
    """The text of a report, for people; empty where there is none."""
    return gzip.decompress(report).decode() if report is not None else ""
