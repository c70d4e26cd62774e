"""What `[provider_accounts.<name>]` holds for one app at the App Store."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_der_x509_certificate
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from app.providers import Misconfigured
from plugins.apple.roots import apple_root

Environment = Literal["Production", "Sandbox"]
"""Where a purchase was made. The other two words, `Xcode` and `LocalTesting`, mean that nothing was signed by Apple."""

Text = Annotated[str, Field(min_length=1, max_length=200)]


def _not_blank(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("is empty")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_not_blank)]

# The hosts since 2026-05-05; the older names under itunes.apple.com keep working.
PRODUCTION_URL = "https://api.storekit.apple.com"
SANDBOX_URL = "https://api.storekit-sandbox.apple.com"
LEGACY_PRODUCTION_URL = "https://buy.itunes.apple.com"
LEGACY_SANDBOX_URL = "https://sandbox.itunes.apple.com"
CONNECT_URL = "https://api.appstoreconnect.apple.com"


@dataclass(frozen=True, slots=True)
class TeamKey:
    """A team key of App Store Connect, and the vendor whose reports are asked for."""

    issuer_id: str
    key_id: str
    key: ec.EllipticCurvePrivateKey
    vendor_number: str


class AppleSettings(BaseModel):
    """One app. Issuer, key id and key are those of an *In-App Purchase* key (App Store Connect, Users and Access)."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    bundle_id: Text
    app_apple_id: int | None = Field(default=None, gt=0)
    """The app's number in the store. Needed where production purchases are accepted: notifications name it."""
    issuer_id: Text
    key_id: Text
    private_key: Secret
    """The .p8 file's text."""
    environments: tuple[Environment, ...] | None = None
    """Whose purchases are taken. By default both for a live account (App Review and TestFlight buy in the sandbox with
    the very build that production serves; the core keeps their coins apart), and the sandbox alone otherwise."""
    released: bool = True
    """False until the app's first release: until then the production API answers 401 to a good key."""
    confirm: Literal["before", "after", "no"] = "before"
    """Whether a signed transaction from a client is confirmed by the App Store Server API before it is believed, after
    it was (a later refund is then seen), or not at all."""
    grant_free_trials: bool = False
    """Whether what cost nothing (a `FREE_TRIAL`, a price of 0) counts as paid."""
    answer_refund_questions: bool = False
    """Whether consumption information is sent at all. Besides, each answer needs the customer's recorded consent."""
    legacy_receipts: Literal["server_api", "verify_receipt"] = "server_api"
    """How an app receipt of StoreKit 1 is settled: by the transactions it names, or by Apple's deprecated call."""
    shared_secret: Secret | None = None
    """For `verify_receipt` with auto-renewable subscriptions."""
    trusted_roots: tuple[Annotated[str, Field(min_length=1, max_length=8000)], ...] = ()
    """Base64 DER of other roots, for simulators. Refused on a live account, which trusts Apple's pinned root alone."""
    production_url: str = PRODUCTION_URL
    sandbox_url: str = SANDBOX_URL
    legacy_production_url: str = LEGACY_PRODUCTION_URL
    legacy_sandbox_url: str = LEGACY_SANDBOX_URL
    vendor_number: Annotated[str, Field(pattern=r"^[0-9]{1,20}\z")] | None = None
    """Whose sales and financial reports are fetched ("Payments and Financial Reports"). With the next three; without
    all four no reports are fetched, and a person can still import them."""
    connect_issuer_id: Text | None = None
    connect_key_id: Text | None = None
    connect_private_key: Secret | None = None
    """A *team* key of App Store Connect with the role Finance. Not the In-App Purchase key."""
    app_sku: Text | None = None
    """The app's SKU, where the vendor has several apps: sales of the others are left out."""
    connect_url: str = CONNECT_URL


def accepted_environments(settings: AppleSettings, live: bool) -> tuple[Environment, ...]:
    """The environments to take, production first. Raises Misconfigured where a needed setting is missing."""
    wanted = settings.environments
    if wanted is None:
        wanted = ("Production", "Sandbox") if live else ("Sandbox",)
    if not wanted:
        raise Misconfigured("environments: name Production, Sandbox or both")
    if "Production" in wanted and settings.app_apple_id is None:
        raise Misconfigured("app_apple_id: needed where production purchases are accepted")
    return tuple(sorted(set(wanted)))


def roots(settings: AppleSettings, live: bool) -> tuple[bytes, ...]:
    """The DER roots to trust: Apple's pinned one, or for tests and simulators the configured ones."""
    if not settings.trusted_roots:
        return (apple_root(),)
    if live:
        raise Misconfigured("trusted_roots: a live account trusts Apple's pinned root and no other")
    try:
        return tuple(_certificate(text) for text in settings.trusted_roots)
    except (binascii.Error, ValueError):
        raise Misconfigured("trusted_roots: each must be one certificate in base64 DER") from None


def server_urls(settings: AppleSettings) -> Mapping[Environment, str]:
    """Where the App Store Server API of each environment is."""
    return {"Production": settings.production_url.rstrip("/"), "Sandbox": settings.sandbox_url.rstrip("/")}


def _certificate(text: str) -> bytes:
    der = base64.b64decode("".join(text.split()), validate=True)
    load_der_x509_certificate(der)
    return der


def signing_key(settings: AppleSettings) -> ec.EllipticCurvePrivateKey:
    """The key of API tokens, parsed. Raises Misconfigured without quoting any of it."""
    return _p256_key("private_key", settings.private_key, "the In-App Purchase key")


def team_key(settings: AppleSettings) -> TeamKey | None:
    """The key for reports; None where no reports are to be fetched. Raises Misconfigured where a part of it is missing,
    without quoting any of it."""
    issuer, key_id, vendor = settings.connect_issuer_id, settings.connect_key_id, settings.vendor_number
    secret = settings.connect_private_key
    if issuer is not None and key_id is not None and vendor is not None and secret is not None:
        return TeamKey(issuer, key_id, _p256_key("connect_private_key", secret, "a team key"), vendor)
    parts = {
        "vendor_number": vendor,
        "connect_issuer_id": issuer,
        "connect_key_id": key_id,
        "connect_private_key": secret,
    }
    missing = [name for name, value in parts.items() if value is None]
    if len(missing) < len(parts):
        raise Misconfigured(
            f"{missing[0]}: needed to fetch reports, with {', '.join(name for name in parts if name != missing[0])}"
        )
    return None


def _p256_key(name: str, secret: SecretStr, which: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(secret.get_secret_value().encode(), password=None)
    except (ValueError, TypeError):
        raise Misconfigured(f"{name}: not a PEM private key (the text of the .p8 file)") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Misconfigured(f"{name}: not a P-256 key; use {which} of App Store Connect")
    return key


def check_urls(settings: AppleSettings, live: bool) -> None:
    """A live account talks to Apple alone: API tokens, receipts and answers must not go anywhere else."""
    names = ("production_url", "sandbox_url", "legacy_production_url", "legacy_sandbox_url", "connect_url")
    for name in names:
        parts = urlsplit(getattr(settings, name))
        if live and not (parts.scheme == "https" and (parts.hostname or "").endswith(".apple.com")):
            raise Misconfigured(f"{name}: a live account speaks to https://….apple.com only")
