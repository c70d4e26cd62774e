"""Settings: a TOML file, then a directory of secrets, then the environment, each overriding the one before.

The only reader of the environment. Every name can be given as `TILLBOOK_<NAME>`, nested ones with `__`
(`TILLBOOK_PROVIDER_ACCOUNTS__SHOP__PRIVATE_KEY`); a file of the same name, in lower case and without the prefix, in
`TILLBOOK_SECRETS_DIR` does the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from tomllib import TOMLDecodeError
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
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

from app.agreement_settings import AgreementSettings
from app.audit_settings import AuditSettings
from app.caller_settings import (
    API_KEY_PREFIX,
    SCOPES,
    ApiKey,
    AssetOfSetting,
    CallerSettings,
    KeyName,
    UserJwt,
    is_web_address,
)
from app.console_settings import ConsoleSettings
from app.database_settings import DatabaseSettings, map_of_settings, of_a_known_database, reports_urls_of, urls_of
from app.domain.deciding import Late, Surplus
from app.domain.fulfilment import RefusedFulfilment
from app.domain.limits import LedgerRules, SpendLimit
from app.domain.lots import SpendOrder
from app.domain.refunding import Clawback
from app.domain.slot_map import MOST_DATABASES, ONLY_DATABASE, SlotMap, map_of_one
from app.event_settings import EventSettings
from app.finance_settings import FinanceSettings
from app.gift_settings import GiftSettings
from app.setting_faults import nearest, sentences

__all__ = [
    "API_KEY_PREFIX",
    "SCOPES",
    "ApiKey",
    "BadSettings",
    "Serving",
    "Settings",
    "UserJwt",
    "load",
    "load_serving",
]
DEFAULT_FILE = "tillbook.toml"
ENVIRONMENT_PREFIX = "TILLBOOK_"
NOT_OF_THE_SERVICE = frozenset({"test_pg", "bench_pg", "model_examples"})
"""Variables with the prefix that the project's own tests and benchmarks read. The service neither reads nor refuses
them: no setting has a name near them."""
PLACES = frozenset({"config", "secrets_dir"})
"""Where settings are found; from the environment only."""


class BadSettings(Exception):
    """The settings cannot be used. The text says what is wrong with which, and quotes no value: it may be secret."""


class LimitSettings(BaseModel):
    """The most that one user may spend of one asset in a day and in a month; not given: no limit."""

    model_config = ConfigDict(extra="forbid")

    day: int | None = Field(default=None, ge=0, le=2**63 - 1)
    month: int | None = Field(default=None, ge=0, le=2**63 - 1)


class LedgerSettings(BaseModel):
    """Which coins are spent first among those that expire together, and spend limits by asset (minors' rules)."""

    model_config = ConfigDict(extra="forbid")

    spend_first: Literal["bonus", "paid"] = "bonus"
    limits: dict[AssetOfSetting, LimitSettings] = Field(default_factory=dict)
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
        env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__", extra="forbid", hide_input_in_errors=True
    )

    env: Literal["production", "development", "test", "demo"] = "production"
    database_url: str = "sqlite:///var/tillbook.sqlite3"
    databases: list[DatabaseSettings] = Field(default_factory=list, max_length=MOST_DATABASES)
    """Several databases that share the slots, home first, in place of `database_url`."""
    database_urls: dict[str, str] = Field(default_factory=dict)
    """URLs of those, by name: so that each can be a secret of its own."""
    reports_database_urls: dict[str, str] = Field(default_factory=dict)
    """URLs of the replicas of those, by the name of the database that each of them follows."""
    database_durable: bool = True
    """False lets SQLite skip the flush to disk at each commit (demo and tests)."""
    clock_offset_file: Path | None = None
    """A file with seconds by which time is ahead of the machine's (demo and tests)."""
    reports_database_url: str | None = None
    """A replica of the database: reports and lists of all users are read there."""
    public_url: str = "http://127.0.0.1:8000"
    """Where providers reach us."""
    order_minutes: int = Field(default=30, ge=1, le=24 * 60)
    most_open_orders: int = Field(default=50, ge=1, le=1000)
    """How many open orders a user may have at one time."""
    most_starts_per_minute: int = Field(default=30, ge=1, le=1000)
    """How many payments a user may start within a minute."""
    message_days: int = Field(default=90, ge=1, le=3650)
    """How long a kept message is kept after it is settled."""
    question_days: int = Field(default=90, ge=1, le=3650)
    """How long a question to a provider is kept after it has ended."""
    call_days: int = Field(default=180, ge=1, le=3650)
    grace_seconds: int = Field(default=900, ge=60, le=86_400)
    late_payment: Late = Late.CREDIT
    surplus_payment: Surplus = Surplus.HOLD
    clawback_policy: Clawback = Clawback.DEBT
    """What becomes of refunded coins that are spent; a request for a refund may say otherwise."""
    refused_fulfilment: RefusedFulfilment = RefusedFulfilment.HOLD
    """What happens to the money of an order that the app's backend refused to fulfil."""
    ledger: LedgerSettings = Field(default_factory=LedgerSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    events: EventSettings = Field(default_factory=EventSettings)
    gifts: GiftSettings = Field(default_factory=GiftSettings)
    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    agreements: AgreementSettings = Field(default_factory=AgreementSettings)
    finance: FinanceSettings = Field(default_factory=FinanceSettings)
    user_jwt: UserJwt | None = None
    api_keys: dict[KeyName, ApiKey] = Field(default_factory=dict)
    callers: dict[KeyName, CallerSettings] = Field(default_factory=dict)
    """What a backend may do at the most, by the name of the caller."""
    assets: frozenset[AssetOfSetting] = frozenset()
    """What callers may grant and debit beside the assets of products."""
    user_requests_per_minute: int = Field(default=600, ge=0, le=100_000)
    """What one user's token may ask of one web process; 0: no limit."""
    access_log: bool = True
    """Whether each request leaves a line in the log."""
    provider_accounts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    trusted_proxies: int = Field(default=0, ge=0, le=8)
    """How many reverse proxies in front of us set X-Forwarded-For and -Proto."""

    @field_validator("database_url", "reports_database_url")
    @classmethod
    def _of_a_known_database(cls, url: str | None) -> str | None:
        return url if url is None else of_a_known_database(url)

    @field_validator("database_urls", "reports_database_urls")
    @classmethod
    def _of_known_databases(cls, urls: dict[str, str]) -> dict[str, str]:
        return {name: of_a_known_database(url) for name, url in urls.items()}

    @field_validator("public_url")
    @classmethod
    def _absolute(cls, url: str) -> str:
        if not is_web_address(url) or "?" in url or "#" in url:
            raise ValueError("not an absolute URL without query: write https://<host>")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _one_or_several_databases(self) -> Settings:
        if not self.databases:
            for table, only in (("database_urls", "database_url"), ("reports_database_urls", "reports_database_url")):
                if getattr(self, table):
                    raise ValueError(f"{table}: only for [[databases]]; with one database it is `{only}`")
            return self
        if "database_url" in self.model_fields_set:
            raise ValueError("database_url: either the only database, or [[databases]]; take one of them out")
        if self.reports_database_url is not None:
            raise ValueError(
                "reports_database_url: one replica cannot follow several databases; write `reports_url` for each"
            )
        urls_of(self.databases, self.database_urls)
        reports_urls_of(self.databases, self.reports_database_urls)
        try:
            map_of_settings(self.databases)
        except ValueError as error:
            raise ValueError(f"databases: {error}") from None
        return self

    def slot_map(self) -> SlotMap | None:
        """Which database holds which slots; None: as the databases say."""
        return map_of_settings(self.databases) if self.databases else map_of_one()

    def urls_of_databases(self) -> dict[str, str]:
        """The URL of each database by its name, home's first."""
        return urls_of(self.databases, self.database_urls) if self.databases else {ONLY_DATABASE: self.database_url}

    def urls_of_replicas(self) -> dict[str, str]:
        """The URL of the replica of each database, by the database's name, home's first; none if there are none."""
        if self.databases:
            return reports_urls_of(self.databases, self.reports_database_urls)
        return {} if self.reports_database_url is None else {ONLY_DATABASE: self.reports_database_url}

    @model_validator(mode="after")
    def _fit_for_production(self) -> Settings:
        if self.env == "production" and not self.public_url.startswith("https://"):
            raise ValueError("public_url: providers need https in production (env = 'development' allows http)")
        if self.env == "production" and self.user_jwt and (self.user_jwt.jwks_url or "https://")[:8] != "https://":
            raise ValueError("user_jwt.jwks_url: keys are fetched by https in production")
        if self.clock_offset_file is not None and self.env not in ("test", "demo"):
            raise ValueError("clock_offset_file: only the demonstration and tests move the clock; take it out")
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
        secrets = _secrets_folder()
        if secrets is not None:
            sources.append(
                NestedSecretsSettingsSource(
                    file_secret_settings, secrets_dir=secrets, secrets_prefix="", secrets_nested_delimiter="__"
                )
            )
        sources.append(TomlConfigSettingsSource(settings_cls, toml_file=_file()))
        return tuple(sources)


class Serving(BaseSettings):
    """What gunicorn needs to know; from the environment only, since it is about one machine."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, hide_input_in_errors=True)

    bind: Annotated[str, StringConstraints(min_length=1)] = "127.0.0.1:8000"
    web_workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=64)


def load() -> Settings:
    """The settings of this process, from the file, the folder of secrets and the environment. Raises BadSettings."""
    try:
        unknown = [*_unknown_variables(), *_unknown_secrets()]
        if unknown:
            raise BadSettings("\n".join(["the settings are not valid:", *(f"  {line}" for line in unknown)]))
        return Settings()
    except ValidationError as error:
        lines = [f"  {line}{_where(line)}" for line in sentences(error, Settings)]
        raise BadSettings("\n".join(["the settings are not valid:", *lines])) from None
    except TOMLDecodeError as error:
        raise BadSettings(f"{_file()} is not TOML: {error}") from None
    except UnicodeDecodeError:
        raise BadSettings("the settings file, or a file of a secret, is not a text in UTF-8") from None
    except SettingsError as error:
        raise BadSettings(_unreadable(error)) from None
    except FileNotFoundError as error:
        raise BadSettings(str(error)) from None
    except OSError as error:
        raise BadSettings(f"{error.filename}: cannot be read: {error.strerror}") from None


def load_serving() -> Serving:
    """Gunicorn's settings, from the environment. Raises BadSettings."""
    try:
        return Serving()
    except ValidationError as error:
        lines = [f"  {ENVIRONMENT_PREFIX}{line[0].upper()}: {line[1]}" for line in _split(sentences(error, Serving))]
        raise BadSettings("\n".join(["the settings are not valid:", *lines])) from None


def _split(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, _, why = line.partition(": ")
        yield name, why


def _where(line: str) -> str:
    """A hint for a setting that stands in the file though only the environment is asked for it."""
    name, there = line.partition(": ")[0], PLACES | set(Serving.model_fields)
    return f"; set {ENVIRONMENT_PREFIX}{name.upper()} in the environment" if name in there else ""


def _unknown_variables() -> Iterator[str]:
    """Variables of the environment that look like ours and are not read."""
    known = _names_with_parts()
    for variable in sorted(os.environ):
        if not variable.upper().startswith(ENVIRONMENT_PREFIX):
            continue
        name = variable[len(ENVIRONMENT_PREFIX) :].lower()
        if name in NOT_OF_THE_SERVICE:
            continue
        if not _is_read(name) and name not in PLACES | set(Serving.model_fields):
            found = nearest(name, known | PLACES | set(Serving.model_fields))
            yield f"{variable}: there is no such setting{found}"


def _unknown_secrets() -> Iterator[str]:
    """Files in the folder of secrets that are not read. Hidden ones are the mount's own (Kubernetes: `..data`)."""
    folder = _secrets_folder()
    for path in sorted(folder.iterdir()) if folder else []:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield f"{path}: is a folder; write one file for each secret, as user_jwt__secret"
        elif not _is_read(path.name.lower()):
            found = nearest(path.name.lower().removeprefix(ENVIRONMENT_PREFIX.lower()), _names_with_parts())
            yield f"{path}: there is no such setting{found}"


def _is_read(name: str) -> bool:
    """Whether `Settings` has that name. Only tables have parts (`user_jwt__secret`)."""
    top, *parts = name.split("__")
    return top in Settings.model_fields and (not parts or top in _TABLES)


def _names_with_parts() -> set[str]:
    parts = {f"{table}__{part}" for table, model in _MODELS.items() for part in model.model_fields}
    return set(Settings.model_fields) | parts


def _unreadable(error: SettingsError) -> str:
    """For a table that is given as one text and is no JSON. The library's sentence names its own parts."""
    name = next((part for part in str(error).split('"') if part in Settings.model_fields), "")
    if not name:
        return f"the settings cannot be read: {error}"
    variable = f"{ENVIRONMENT_PREFIX}{name.upper()}"
    return f"{name}: must be a table: write {variable}__<NAME> for each part, or JSON in {variable}"


def _file() -> Path | None:
    """The file named by TILLBOOK_CONFIG, which must then exist; else ./tillbook.toml if there is one."""
    named = os.environ.get("TILLBOOK_CONFIG")
    path = Path(named or DEFAULT_FILE)
    if path.is_file():
        return path
    if named:
        raise FileNotFoundError(f"TILLBOOK_CONFIG names a file that is not there: {named}")
    return None


def _secrets_folder() -> Path | None:
    """The folder named by TILLBOOK_SECRETS_DIR, which must then exist."""
    named = os.environ.get("TILLBOOK_SECRETS_DIR")
    if not named:
        return None
    if not Path(named).is_dir():
        raise FileNotFoundError(f"TILLBOOK_SECRETS_DIR names a folder that is not there: {named}")
    return Path(named)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a table that has parts of its own. Lists, and tables by names of yours, have none."""
    kinds = (annotation,) if get_origin(annotation) not in (Union, UnionType) else get_args(annotation)
    return next((each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)), None)


_MODELS = {
    name: model for name, field in Settings.model_fields.items() if (model := _model_in(field.annotation)) is not None
}
_TABLES = frozenset({*_MODELS, "api_keys", "database_urls", "callers", "provider_accounts"})
