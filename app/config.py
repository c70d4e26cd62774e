"""Settings: a TOML file, then a directory of secrets, then the environment, each overriding the one before.

The only reader of the environment. Every name can be given as `TILLBOOK_<NAME>`, nested ones with `__`
(`TILLBOOK_PROVIDER_ACCOUNTS__SHOP__PRIVATE_KEY`); a file of the same name, in lower case and without the prefix, in
`TILLBOOK_SECRETS_DIR` does the same.
"""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from app.domain.deciding import Late, Surplus
from app.domain.limits import LedgerRules, SpendLimit
from app.domain.lots import SpendOrder
from app.domain.refunding import Clawback

DEFAULT_FILE = "tillbook.toml"
DATABASES = frozenset({"sqlite", "postgresql", "postgresql+psycopg"})
SHORTEST_SECRET = 32
SCOPES = frozenset({"orders", "read", "receipts", "spend", "hold", "grant", "refund", "freeze", "report"})
Scope = Literal["orders", "read", "receipts", "spend", "hold", "grant", "refund", "freeze", "report"]
KeyName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Algorithm = Literal["HS256", "RS256", "ES256"]


class BadSettings(Exception):
    """The settings cannot be used. The text says what is wrong with which, and quotes no value: it may be secret."""


class UserJwt(BaseModel):
    """How the app's users prove who they are. Exactly one of `secret`, `public_key` and `jwks_url`."""

    model_config = ConfigDict(extra="forbid")

    algorithm: Algorithm = "HS256"
    secret: SecretStr | None = None
    public_key: str | None = None
    jwks_url: str | None = None
    audience: str | None = None
    issuer: str | None = None
    user_claim: str = "sub"

    @model_validator(mode="after")
    def _one_key(self) -> UserJwt:
        given = [name for name in ("secret", "public_key", "jwks_url") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("give exactly one of secret, public_key and jwks_url")
        if (self.algorithm == "HS256") != (given == ["secret"]):
            raise ValueError("HS256 goes with secret; RS256 and ES256 with public_key or jwks_url")
        if self.secret is not None and len(self.secret.get_secret_value().encode()) < SHORTEST_SECRET:
            raise ValueError(f"the secret is shorter than {SHORTEST_SECRET} bytes")
        return self


class ApiKey(BaseModel):
    """A backend's key: only its SHA-256 is kept. `tillbook keys new` makes one."""

    model_config = ConfigDict(extra="forbid")

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    scopes: frozenset[Scope]
    caller: KeyName | None = None
    """Who calls with this key; not given: the name of the key. Several keys of one caller share its idempotency keys,
    so that a request repeated after a rotation is still the same request."""


class LimitSettings(BaseModel):
    """The most that one user may spend of one asset in a day and in a month; not given: no limit."""

    model_config = ConfigDict(extra="forbid")

    day: int | None = Field(default=None, ge=0, le=2**63 - 1)
    month: int | None = Field(default=None, ge=0, le=2**63 - 1)


class LedgerSettings(BaseModel):
    """Which coins are spent first among those that expire together, and spend limits by asset (minors' rules)."""

    model_config = ConfigDict(extra="forbid")

    spend_first: Literal["bonus", "paid"] = "bonus"
    limits: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,15}$")], LimitSettings] = Field(
        default_factory=dict
    )
    zone: str = "UTC"
    """Whose days and months count, `Asia/Shanghai`."""
    zone_since: AwareDatetime | None = None
    """When the zone was changed, if it was: the audit then leaves out the counters of days and months before that."""

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError("not a time zone that this machine knows")
        return zone

    def rules(self) -> LedgerRules:
        order = SpendOrder.BONUS_FIRST if self.spend_first == "bonus" else SpendOrder.PAID_FIRST
        limits = {asset: SpendLimit(limit.day, limit.month) for asset, limit in self.limits.items()}
        zone = UTC if self.zone == "UTC" else ZoneInfo(self.zone)
        return LedgerRules(order, limits, zone, self.zone_since)


class Settings(BaseSettings):
    """Everything that an installation can decide."""

    model_config = SettingsConfigDict(
        env_prefix="TILLBOOK_", env_nested_delimiter="__", extra="forbid", hide_input_in_errors=True
    )

    env: Literal["production", "development", "test", "demo"] = "production"
    database_url: str = "sqlite:///var/tillbook.sqlite3"
    database_durable: bool = True
    """False lets SQLite skip the flush to disk at each commit (demo and tests)."""
    public_url: str = "http://127.0.0.1:8000"
    """Where providers reach us."""
    order_minutes: int = Field(default=30, ge=1, le=24 * 60)
    most_open_orders: int = Field(default=50, ge=1, le=1000)
    """How many open orders a user may have at one time."""
    most_starts_per_minute: int = Field(default=30, ge=1, le=1000)
    """How many payments a user may start within a minute."""
    grace_seconds: int = Field(default=900, ge=60, le=86_400)
    late_payment: Late = Late.CREDIT
    surplus_payment: Surplus = Surplus.HOLD
    clawback_policy: Clawback = Clawback.DEBT
    """What becomes of refunded coins that are spent; a request for a refund may say otherwise."""
    ledger: LedgerSettings = Field(default_factory=LedgerSettings)
    user_jwt: UserJwt | None = None
    api_keys: dict[KeyName, ApiKey] = Field(default_factory=dict)
    provider_accounts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    trusted_proxies: int = Field(default=0, ge=0, le=8)
    """How many reverse proxies in front of us set X-Forwarded-For and -Proto."""

    @field_validator("database_url")
    @classmethod
    def _of_a_known_database(cls, url: str) -> str:
        if url.partition("://")[0] not in DATABASES:
            raise ValueError("neither sqlite:///<file> nor postgresql://<user>:<password>@<host>/<database>")
        return url

    @field_validator("public_url")
    @classmethod
    def _absolute(cls, url: str) -> str:
        if not url.startswith(("https://", "http://")) or "?" in url or "#" in url:
            raise ValueError("an absolute http(s) URL without query")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _fit_for_production(self) -> Settings:
        if self.env == "production" and not self.public_url.startswith("https://"):
            raise ValueError("public_url: providers need https in production (env = 'development' allows http)")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources = [init_settings, env_settings]
        secrets = os.environ.get("TILLBOOK_SECRETS_DIR")
        if secrets:
            sources.append(
                NestedSecretsSettingsSource(
                    file_secret_settings,
                    secrets_dir=secrets,
                    secrets_prefix="",
                    secrets_nested_delimiter="__",
                    secrets_dir_missing="error",
                )
            )
        sources.append(TomlConfigSettingsSource(settings_cls, toml_file=_file()))
        return tuple(sources)


def load() -> Settings:
    """The settings of this process, from the file and the environment. Raises BadSettings."""
    try:
        return Settings()
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        lines = [f"  {'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}" for fault in faults]
        raise BadSettings("\n".join(["the settings are not valid:", *lines])) from None
    except TOMLDecodeError as error:
        raise BadSettings(f"{_file()} is not TOML: {error}") from None
    except (OSError, SettingsError) as error:
        raise BadSettings(str(error)) from None


def _file() -> Path | None:
    """The file named by TILLBOOK_CONFIG, which must then exist; else ./tillbook.toml if there is one."""
    named = os.environ.get("TILLBOOK_CONFIG")
    path = Path(named or DEFAULT_FILE)
    if path.is_file():
        return path
    if named:
        raise FileNotFoundError(f"TILLBOOK_CONFIG names a file that is not there: {named}")
    return None


class Serving(BaseSettings):
    """What gunicorn needs to know; from the environment only, since it is about one machine."""

    model_config = SettingsConfigDict(env_prefix="TILLBOOK_")

    bind: str = "127.0.0.1:8000"
    web_workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=64)
