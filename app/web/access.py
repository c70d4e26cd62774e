"""Who is calling, and what they may do.

The app's clients bring a JWT of their user; the app's backend brings an API key (`tbk_…`) with scopes. Both come as
`Authorization: Bearer …`. Whatever is wrong with them is answered alike: 401, without saying what. A backend may say
for whom it acts: `Tillbook-Actor: …` is written down next to its name.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import jwt
import structlog
from flask import current_app, request
from pydantic import BaseModel

from app.caller_settings import CallerSettings
from app.config import API_KEY_PREFIX, ApiKey, UserJwt
from app.domain.caps import NO_CAPS, CallerCaps, Caps
from app.providers.errors import ProviderError
from app.providers.http import HttpResponse, RequestsClient, deadline
from app.providers.tools import Clock
from app.services.accounts.caller_copy import NOBODY, CallerCopy, KnownKey
from app.services.accounts.users import check_user_id
from app.services.base.context import SystemClock
from app.services.base.errors import DomainError, Invalid
from app.web import user_rates
from app.web.request_log import RequestRecord, request_record

USER_SCOPES = frozenset({"orders", "read", "receipts", "gift"})
LONGEST_TOKEN = 8192
ACTOR_FIELD = "Tillbook-Actor"
LONGEST_ACTOR = 64
"""Characters of `Tillbook-Actor`; with the caller's name before it, it fits into every table."""
LEEWAY_SECONDS = 30
JWKS_SECONDS = 3.0
JWKS_LIFE_SECONDS = 300.0
JWKS_GAP_SECONDS = 30.0
"""An unknown key id may make us fetch the key set again, but not more often than this."""
MOST_TOKENS = 10_000
"""A process remembers so many verified tokens of users; the oldest are forgotten first."""

_log = structlog.get_logger(__name__)
View = TypeVar("View", bound=Callable[..., Any])


class Unauthorized(DomainError):
    code = "unauthorized"


class KeysUnavailable(DomainError):
    code = "keys_unavailable"


class UserMissing(DomainError):
    code = "user_missing"


class Forbidden(DomainError):
    code = "forbidden"


class BadActor(DomainError):
    """The header `Tillbook-Actor` is not 1 to 64 printable ASCII characters."""

    code = "bad_actor"


class ActorMissing(DomainError):
    """A person must be named by `Tillbook-Actor`."""

    code = "actor_missing"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `user_id` is set for a user's own token, None for the app's backend.

    `name` is the caller's, not that of the API key: idempotency keys belong to callers.
    """

    name: str
    scopes: frozenset[str]
    user_id: str | None = None
    agent: str = ""
    """The person or program behind a backend, by that backend's word."""
    caps: CallerCaps = NO_CAPS

    @property
    def actor(self) -> str:
        """Who does it, as it is written down: `backend:shop`, or `backend:shop/mei`."""
        return f"{self.name}/{self.agent}" if self.agent else self.name

    def content(self, body: BaseModel) -> dict[str, Any]:
        """What a request's key stands for: the body, and who is behind the backend where that is said."""
        content = body.model_dump(mode="json")
        return {**content, "actor": self.agent} if self.agent else content

    def types_in(self, new_user: bool | None) -> bool:
        """Whether a user whom the request gives something must be known, so that no typing error makes one (ADR
        0038)."""
        return new_user is False or (new_user is None and bool(self.agent))

    def user(self, named: str | None) -> str:
        """The user that the request is about. Users speak for themselves; the backend must name one."""
        if self.user_id is not None:
            if named is not None and named != self.user_id:
                raise Forbidden("a user's token is good for that user only")
            return self.user_id
        if named is None:
            raise UserMissing
        return check_user_id(named)

    def user_if_named(self, named: str | None) -> str | None:
        """The user that the request is about; None for a backend that asks about whatever a number names."""
        return self.user(named) if self.user_id is not None or named is not None else None

    def speaking_for(self, user_id: str) -> str:
        """Whose idempotency keys a request about that user uses: a backend may use the same key for each user."""
        return self.name if self.user_id is not None else f"{self.name}:{user_id}"


class KeySet:
    """The user tokens' verification keys at a JWKS address: kept, and renewed at a bounded rate."""

    def __init__(self, url: str, seconds: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._seconds = seconds
        self._http = RequestsClient()
        self._lock = threading.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched = float("-inf")

    def key(self, key_id: str | None) -> jwt.PyJWK | None:
        age = self._seconds() - self._fetched
        if age > JWKS_LIFE_SECONDS or (key_id not in self._keys and age > JWKS_GAP_SECONDS):
            self._renew()
        if not self._keys:
            raise KeysUnavailable
        return self._keys.get(key_id)

    def _renew(self) -> None:
        with self._lock:
            if self._seconds() - self._fetched <= JWKS_GAP_SECONDS:
                return
            self._fetched = self._seconds()
            try:
                with deadline(JWKS_SECONDS):
                    answer = self._http.request("GET", self._url)
                self._keys = _keys_in(answer)
            except (ProviderError, jwt.PyJWTError, ValueError) as error:
                # The keys that we have stay good; their owner's server may just be away.
                _log.warning("user_keys_not_fetched", error=f"{type(error).__name__}: {error}")


def _keys_in(answer: HttpResponse) -> dict[str | None, jwt.PyJWK]:
    """The keys of a JWKS document. Raises ValueError or PyJWTError for anything else."""
    document = json.loads(answer.body)
    if answer.status != 200 or not isinstance(document, dict):
        raise ValueError(f"no key set, HTTP {answer.status}")
    return {key.key_id: key for key in jwt.PyJWKSet.from_dict(document).keys}


@dataclass(frozen=True, slots=True)
class _Verified:
    """What the check of a token came to. It stays so until `ends`, as long as the key is the one that was used: what a
    token claims, and the settings of the process, do not change."""

    caller: Caller
    key_id: str | None
    key: Any
    ends: float


class Gate:
    """Turns an Authorization header into a Caller.

    A user's token is checked once: its hash is remembered with what it came to (a check takes a fifth of the time that
    the answer with a wallet takes). A key that its owner withdraws ends what it signed, with the next key set.
    """

    def __init__(
        self,
        user_jwt: UserJwt | None,
        api_keys: Mapping[str, ApiKey],
        seconds: Callable[[], float] = time.monotonic,
        *,
        callers: Mapping[str, CallerSettings] | None = None,
        copy: CallerCopy | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._jwt = user_jwt
        self._api_keys = {
            key.sha256: KnownKey(name, key.caller or name, frozenset(key.scopes), key.expires_at)
            for name, key in api_keys.items()
        }
        self._caps: dict[str, Caps] = {name: given.caps() for name, given in (callers or {}).items()}
        self._copy = copy
        self._clock = clock or SystemClock()
        self._fixed_keys = user_jwt.secrets or user_jwt.public_keys if user_jwt else ()
        self._key_set = KeySet(user_jwt.jwks_url, seconds) if user_jwt and user_jwt.jwks_url else None
        self._verified: dict[bytes, _Verified] = {}
        self._lock = threading.Lock()

    def admit(self, header: str | None) -> Caller:
        """The caller behind the header. Raises Unauthorized."""
        kind, _, token = (header or "").partition(" ")
        if kind.lower() != "bearer" or not token or len(token) > LONGEST_TOKEN:
            raise Unauthorized
        caller = self._backend(token) if token.startswith(API_KEY_PREFIX) else self._user(token)
        if caller is None:
            raise Unauthorized
        return caller

    def _backend(self, token: str) -> Caller | None:
        """The caller of an API key that is in the settings or in the database, and neither revoked nor expired."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        known = NOBODY if self._copy is None else self._copy.look()
        key = self._key_in_settings(digest) or known.keys.get(digest)
        if key is None or digest in known.revoked:
            return None
        if key.expires_at is not None and key.expires_at <= self._clock.now():
            return None
        if self._copy is not None:
            self._copy.note_use(digest)
        stated = tuple(filter(None, (self._caps.get(key.caller), known.caps.get(key.caller))))
        return Caller(f"backend:{key.caller}", key.scopes, caps=CallerCaps(key.caller, stated) if stated else NO_CAPS)

    def _key_in_settings(self, digest: str) -> KnownKey | None:
        for known, key in self._api_keys.items():
            if hmac.compare_digest(known, digest):
                return key
        return None

    def _user(self, token: str) -> Caller | None:
        if self._jwt is None:
            return None
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is not None and time.time() < known.ends and known.key in self._keys(known.key_id):
            return known.caller
        try:
            verified = self._verify(self._jwt, token)
        except (jwt.PyJWTError, Invalid, ValueError):
            return None
        self._remember(digest, verified)
        return verified.caller

    def _verify(self, settings: UserJwt, token: str) -> _Verified:
        """Raises for a token that is not genuine, not valid now, or not for us."""
        key_id = None if self._key_set is None else jwt.get_unverified_header(token).get("kid")
        for key in self._keys(key_id):
            try:
                return _verified_with(settings, token, key_id, key)
            except jwt.InvalidSignatureError:  # another of the keys may have signed it
                continue
        raise Unauthorized

    def _keys(self, key_id: str | None) -> tuple[Any, ...]:
        """What tokens are verified with: the keys in the settings, or the one of that name in the key set."""
        if self._key_set is None:
            return self._fixed_keys
        key = self._key_set.key(key_id)
        return () if key is None else (key,)

    @property
    def remembered(self) -> int:
        """How many tokens need no check."""
        return len(self._verified)

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        with self._lock:
            if len(self._verified) >= MOST_TOKENS:
                del self._verified[next(iter(self._verified))]
            self._verified[digest] = verified


def _verified_with(settings: UserJwt, token: str, key_id: str | None, key: Any) -> _Verified:
    """What a token says that is signed with this key. Raises like `Gate._verify`."""
    claims = jwt.decode(
        token,
        key,
        algorithms=[settings.algorithm],
        audience=settings.audience,
        issuer=settings.issuer,
        leeway=LEEWAY_SECONDS,
        options={"require": ["exp", settings.user_claim], "verify_aud": settings.audience is not None},
    )
    user_id = _user_id(claims[settings.user_claim])
    caller = Caller(f"user:{user_id}", USER_SCOPES, user_id)
    return _Verified(caller, key_id, key, int(claims["exp"]) + LEEWAY_SECONDS)


def _user_id(claim: object) -> str:
    """A text, or a whole number written as one. Raises Invalid."""
    if type(claim) not in (str, int):
        raise Invalid("not a user id")
    return check_user_id(str(claim))


def needs(*scopes: str) -> Callable[[View], View]:
    """Let only callers with one of these scopes in; the view finds them in `caller()`."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            record = request_record()
            admitted = record.admitted or _admit(record)
            if admitted.scopes.isdisjoint(scopes):
                raise Forbidden(f"this needs the scope {' or '.join(map(repr, scopes))}", scope=scopes[0])
            return view(*args, **kwargs)

        guarded.scopes = (scopes, *scopes_of(view))  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def scopes_of(view: Callable[..., Any]) -> tuple[tuple[str, ...], ...]:
    """The scopes that the view `needs`: one of each group."""
    found: tuple[tuple[str, ...], ...] = getattr(view, "scopes", ())
    return found


def _admit(record: RequestRecord) -> Caller:
    """Who is calling, once for each request. Raises Unauthorized, BadActor, TooManyRequests."""
    gate: Gate = current_app.extensions["tillbook_gate"]
    fields = request.headers
    admitted = gate.admit(fields.get("Authorization"))
    record.caller = admitted.name
    if admitted.user_id is not None:
        user_rates.count_request(admitted.user_id, record)
    elif ACTOR_FIELD in fields:
        admitted = replace(admitted, agent=_agent(fields[ACTOR_FIELD]))
    record.admitted = admitted
    return admitted


def _agent(given: str) -> str:
    if not 0 < len(given) <= LONGEST_ACTOR or not (given.isascii() and given.isprintable()):
        raise BadActor
    return given


def caller() -> Caller:
    """Who is calling; only inside a view that `needs` a scope."""
    who = request_record().admitted
    if who is None:
        raise RuntimeError("a view that needs no scope asks who is calling")
    return who


def person() -> str:
    """The person behind the backend that calls. Raises ActorMissing for a backend that names nobody."""
    who = caller()
    if not who.agent:
        raise ActorMissing
    return who.actor
