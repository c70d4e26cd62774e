"""The simulated App Store put together: one app's purchases, notifications, keys and faults."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.providers.testing.simulator import Faults, Send, send_over_http
from plugins.apple.server_api import AUDIENCE
from plugins.apple.settings import Environment
from plugins.apple.simulated.certificates import Signer, make_signer
from plugins.apple.simulated.connect import Connect
from plugins.apple.simulated.notifications import Notifications
from plugins.apple.simulated.purchases import Purchases
from plugins.apple.simulated.reports import Reports
from plugins.apple.simulated.terms import StoreTerms

MAX_TOKEN_SECONDS = 3600


def _wall_clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class SimulatorConfig:
    """What the simulated App Store knows of the app and of where to send notifications."""

    bundle_id: str = "com.example.coins"
    app_apple_id: int = 1234567890
    issuer_id: str = "57246542-96fe-1a63-e053-0824d011072a"
    key_id: str = "SIMULATED1"
    app_sku: str = "SIMULATEDAPP"
    vendor_number: str = "80012345"
    connect_issuer_id: str = "69a6de70-03db-47e3-e053-5b8c7c11a4d1"
    connect_key_id: str = "SIMULATED2"
    reported: Environment = "Sandbox"
    """Whose purchases are in the sales and financial reports. Apple reports production alone; accounts that speak to a
    simulator are not live, and take what is bought in its sandbox."""
    terms: StoreTerms = field(default_factory=StoreTerms)
    sales_version: str = "1_0"
    """The one version in which sales reports are given."""
    shared_secret: str = "simulated-shared-secret"  # noqa: S105 - a simulator's, good for nothing else
    notify_urls: Mapping[Environment, str] = field(default_factory=dict)
    now: Callable[[], datetime] = _wall_clock
    monotonic: Callable[[], float] = time.monotonic
    send: Send = send_over_http
    speed: float = 1.0
    """Divides the hours between attempts of a notification."""
    signer: Signer | None = None
    """Signs with these certificates rather than with new ones: another app of the same store."""


class SimulatedStore:
    """The state behind the simulator's routes; a test may use it directly."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.signer = config.signer or make_signer(config.now())
        self.forger = make_signer(config.now())
        """An authority that nobody trusts, for notifications forged on demand."""
        self.api_key = ec.generate_private_key(ec.SECP256R1())
        self.faults = Faults()
        self.troubles: list[int] = []
        """Error codes with which the next calls of the Server API are answered, one each."""
        self.purchases = Purchases(config.bundle_id, config.now)
        self.reports = Reports(self.purchases, config.reported, config.app_sku, config.terms)
        self.connect = Connect(
            self.reports,
            ec.generate_private_key(ec.SECP256R1()),
            config.connect_key_id,
            config.connect_issuer_id,
            config.vendor_number,
            config.sales_version,
        )
        self.notifications = Notifications(
            self.purchases,
            self.signer,
            self.forger,
            bundle_id=config.bundle_id,
            app_apple_id=config.app_apple_id,
            urls=config.notify_urls,
            faults=self.faults,
            send=config.send,
            now=config.monotonic,
            speed=config.speed,
        )

    def settings(self, base_url: str) -> dict[str, Any]:
        """The plugin's settings of an account that speaks to this simulator and trusts its root."""
        base_url = base_url.rstrip("/")
        return {
            "bundle_id": self.config.bundle_id,
            "app_apple_id": self.config.app_apple_id,
            "issuer_id": self.config.issuer_id,
            "key_id": self.config.key_id,
            "private_key": _pem(self.api_key),
            "shared_secret": self.config.shared_secret,
            "environments": ["Production", "Sandbox"],
            "trusted_roots": [self.signer.trusted_root],
            "production_url": f"{base_url}/production",
            "sandbox_url": f"{base_url}/sandbox",
            "legacy_production_url": f"{base_url}/production",
            "legacy_sandbox_url": f"{base_url}/sandbox",
            "vendor_number": self.config.vendor_number,
            "connect_issuer_id": self.config.connect_issuer_id,
            "connect_key_id": self.config.connect_key_id,
            "connect_private_key": _pem(self.connect.key),
            "connect_url": base_url,
            "app_sku": self.config.app_sku,
        }

    def accepts(self, token: str) -> bool:
        """Whether this is one of our app's API tokens, by the simulator's own clock."""
        options: Any = {"verify_exp": False, "verify_iat": False, "require": ["exp"]}
        try:
            claims = jwt.decode(
                token,
                self.api_key.public_key(),
                algorithms=["ES256"],
                audience=AUDIENCE,
                issuer=self.config.issuer_id,
                options=options,
            )
            is_ours = jwt.get_unverified_header(token).get("kid") == self.config.key_id
        except jwt.PyJWTError:
            return False
        now = self.config.now().timestamp()
        in_time = claims.get("iat", now) - 60 <= now < claims["exp"] <= now + MAX_TOKEN_SECONDS
        return is_ours and in_time and claims.get("bid") == self.config.bundle_id


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
