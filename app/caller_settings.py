"""Who may call: settings of the users' tokens, of the backends' keys, and of what a backend may do at the most."""

from __future__ import annotations

from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from app.domain.caps import CURRENCY_PATTERN, DEBITS, GRANTS, REFUNDS, UNIT_PATTERN, Cap, Caps
from app.domain.ledger import MAX_AMOUNT

SHORTEST_SECRET = 32
SHORTEST_RSA_BITS = 2048
"""RFC 7518, section 3.3: a key of this size or larger must be used with RS256."""
MOST_OTHER_KEYS = 8
"""Secrets or public keys of users' tokens that count beside the first."""
API_KEY_PREFIX = "tbk_"
Scope = Literal[
    "orders", "read", "receipts", "spend", "hold", "grant", "refund", "freeze", "report", "books", "search", "events"
]
SCOPES: frozenset[str] = frozenset(get_args(Scope))
KeyName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
AssetOfSetting = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,15}$")]
AssetOrEvery = Annotated[str, StringConstraints(pattern=UNIT_PATTERN)]
CurrencyOrEvery = Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)]
Algorithm = Literal["HS256", "RS256", "ES256"]


class UserJwt(BaseModel):
    """How the app's users prove who they are. Exactly one of `secret`, `public_key` and `jwks_url`.

    While a secret or a key is replaced, tokens of the others (`other_secrets`, `other_public_keys`) count as well: the
    next one before the app signs with it, the former one until its last token has expired.
    """

    model_config = ConfigDict(extra="forbid")

    algorithm: Algorithm = "HS256"
    secret: SecretStr | None = None
    other_secrets: list[SecretStr] = Field(default_factory=list, max_length=MOST_OTHER_KEYS)
    public_key: str | None = None
    other_public_keys: list[str] = Field(default_factory=list, max_length=MOST_OTHER_KEYS)
    jwks_url: str | None = None
    audience: str | None = None
    issuer: str | None = None
    user_claim: str = "sub"

    @model_validator(mode="after")
    def _one_kind_of_key(self) -> UserJwt:
        given = [name for name in ("secret", "public_key", "jwks_url") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError("give exactly one of secret, public_key and jwks_url")
        if (self.algorithm == "HS256") != (given == ["secret"]):
            raise ValueError("HS256 goes with secret; RS256 and ES256 with public_key or jwks_url")
        if any(len(secret.encode()) < SHORTEST_SECRET for secret in self.secrets):
            raise ValueError(f"a secret is shorter than {SHORTEST_SECRET} bytes")
        if self.other_secrets and given != ["secret"]:
            raise ValueError("other_secrets goes with secret")
        if self.other_public_keys and given != ["public_key"]:
            raise ValueError("other_public_keys goes with public_key; a key set may have several keys by itself")
        return self

    @field_validator("public_key")
    @classmethod
    def _a_key(cls, text: str | None, info: ValidationInfo) -> str | None:
        return _checked_key(text, info.data.get("algorithm")) if text else text

    @field_validator("other_public_keys")
    @classmethod
    def _keys(cls, texts: list[str], info: ValidationInfo) -> list[str]:
        return [_checked_key(text, info.data.get("algorithm")) for text in texts]

    @field_validator("jwks_url")
    @classmethod
    def _an_address(cls, url: str | None) -> str | None:
        if url and not is_web_address(url):
            raise ValueError("not the address of a key set: write https://<host>/<path>")
        return url

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret with which a token may be signed."""
        given = () if self.secret is None else (self.secret, *self.other_secrets)
        return tuple(secret.get_secret_value() for secret in given)

    @property
    def public_keys(self) -> tuple[str, ...]:
        """Every public key, in PEM, with which a token may be verified."""
        return (self.public_key, *self.other_public_keys) if self.public_key else ()


def _checked_key(text: str, algorithm: Algorithm | None) -> str:
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(
            "not a public key in PEM: write the text from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----"
        ) from None
    if algorithm == "RS256" and not (isinstance(key, rsa.RSAPublicKey) and key.key_size >= SHORTEST_RSA_BITS):
        raise ValueError(f"RS256 needs an RSA key of {SHORTEST_RSA_BITS} bits or more")
    if algorithm == "ES256" and not (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        raise ValueError("ES256 needs a key on the curve P-256")
    return text


class ApiKey(BaseModel):
    """A backend's key: only its SHA-256 is kept. `tillbook keys new` makes one."""

    model_config = ConfigDict(extra="forbid")

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    scopes: frozenset[Scope]
    caller: KeyName | None = None
    """Who calls with this key; not given: the name of the key. Several keys of one caller share its idempotency keys,
    so that a request repeated after a rotation is still the same request."""
    expires_at: AwareDatetime | None = None
    """From this moment on the key is refused."""


class CapSettings(BaseModel):
    """The most that a caller may move of one asset or currency in one call and in one day; not given: no cap."""

    model_config = ConfigDict(extra="forbid")

    per_call: int | None = Field(default=None, ge=0, le=MAX_AMOUNT)
    per_day: int | None = Field(default=None, ge=0, le=MAX_AMOUNT)

    def cap(self) -> Cap:
        return Cap(self.per_call, self.per_day)


class CallerSettings(BaseModel):
    """What one caller may grant and debit (by asset) and refund (by currency); `*` stands for each one not named."""

    model_config = ConfigDict(extra="forbid")

    grants: dict[AssetOrEvery, CapSettings] = Field(default_factory=dict)
    debits: dict[AssetOrEvery, CapSettings] = Field(default_factory=dict)
    refunds: dict[CurrencyOrEvery, CapSettings] = Field(default_factory=dict)

    def caps(self) -> Caps:
        tables = {GRANTS: self.grants, DEBITS: self.debits, REFUNDS: self.refunds}
        return {(verb, unit): given.cap() for verb, table in tables.items() for unit, given in table.items()}


def is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and not any(map(str.isspace, url))
    except ValueError:
        return False
