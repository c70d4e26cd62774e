"""Who is calling, and what they may do.

The app's clients bring a JWT of their user; the app's backend brings an API key (`tbk_…`) with scopes. Both come as
`Authorization: Bearer …`. Whatever is wrong with them is answered alike: 401, without saying what.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import jwt
import structlog
from flask import current_app, g, request

from app.config import API_KEY_PREFIX, ApiKey, UserJwt
from app.providers.errors import ProviderError
from app.providers.http import HttpResponse, RequestsClient, deadline
from app.services.accounts.users import check_user_id
from app.services.base.errors import Invalid, Problem

USER_SCOPES = frozenset({"orders", "read", "receipts"})
LONGEST_TOKEN = 8192
LEEWAY_SECONDS = 30
JWKS_SECONDS = 3.0
JWKS_LIFE_SECONDS = 300.0
JWKS_GAP_SECONDS = 30.0
"""An unknown key id may make us fetch the key set again, but not more often than this."""

_log = structlog.get_logger(__name__)
View = TypeVar("View", bound=Callable[..., Any])


class Unauthorized(Problem):
    code, status, title = "unauthorized", 401, "The credentials are missing, expired or wrong."


class KeysUnavailable(Problem):
    code, status, title = "keys_unavailable", 503, "The users' keys cannot be fetched just now. Try again."


class UserMissing(Problem):
    code, status, title = "user_missing", 400, "Name the user: a backend's key stands for none."


class Forbidden(Problem):
    code, status, title = "forbidden", 403, "These credentials do not allow that."


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `user_id` is set for a user's own token, None for the app's backend."""

    name: str
    scopes: frozenset[str]
    user_id: str | None = None

    def user(self, named: str | None) -> str:
        """The user that the request is about. Users speak for themselves; the backend must name one."""
        if self.user_id is not None:
            if named is not None and named != self.user_id:
                raise Forbidden("a user's token is good for that user only")
            return self.user_id
        if named is None:
            raise UserMissing
        return check_user_id(named)

    def speaking_for(self, user_id: str) -> str:
        """Whose idempotency keys a request about that user uses: a backend may use the same key for each user."""
        return self.name if self.user_id is not None else f"{self.name}:{user_id}"


class KeySet:
    """The user tokens' verification keys at a JWKS address: kept, and renewed at a bounded rate."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = RequestsClient()
        self._lock = threading.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched = float("-inf")

    def key(self, key_id: str | None) -> jwt.PyJWK | None:
        age = time.monotonic() - self._fetched
        if age > JWKS_LIFE_SECONDS or (key_id not in self._keys and age > JWKS_GAP_SECONDS):
            self._renew()
        if not self._keys:
            raise KeysUnavailable
        return self._keys.get(key_id)

    def _renew(self) -> None:
        with self._lock:
            if time.monotonic() - self._fetched <= JWKS_GAP_SECONDS:
                return
            self._fetched = time.monotonic()
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


class Gate:
    """Turns an Authorization header into a Caller."""

    def __init__(self, user_jwt: UserJwt | None, api_keys: dict[str, ApiKey]) -> None:
        self._jwt = user_jwt
        self._api_keys = {key.sha256: (name, key.scopes) for name, key in api_keys.items()}
        self._key_set = KeySet(user_jwt.jwks_url) if user_jwt and user_jwt.jwks_url else None

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
        digest = hashlib.sha256(token.encode()).hexdigest()
        for known, (name, scopes) in self._api_keys.items():
            if hmac.compare_digest(known, digest):
                return Caller(f"backend:{name}", scopes)
        return None

    def _user(self, token: str) -> Caller | None:
        if self._jwt is None:
            return None
        try:
            key = self._verification_key(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=[self._jwt.algorithm],
                audience=self._jwt.audience,
                issuer=self._jwt.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", self._jwt.user_claim], "verify_aud": self._jwt.audience is not None},
            )
            user_id = _user_id(claims[self._jwt.user_claim])
        except (jwt.PyJWTError, Invalid, ValueError):
            return None
        return Caller(f"user:{user_id}", USER_SCOPES, user_id)

    def _verification_key(self, token: str) -> Any:
        settings = self._jwt
        if settings is None:
            raise Unauthorized
        if settings.secret is not None:
            return settings.secret.get_secret_value()
        if self._key_set is None:
            return settings.public_key
        key = self._key_set.key(jwt.get_unverified_header(token).get("kid"))
        if key is None:
            raise Unauthorized
        return key


def _user_id(claim: object) -> str:
    """A text, or a whole number written as one. Raises Invalid."""
    if type(claim) not in (str, int):
        raise Invalid("not a user id")
    return check_user_id(str(claim))


def needs(scope: str) -> Callable[[View], View]:
    """Let only callers with this scope in; the view finds them in `caller()`."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            gate: Gate = current_app.extensions["tillbook_gate"]
            admitted = gate.admit(request.headers.get("Authorization"))
            if scope not in admitted.scopes:
                raise Forbidden(f"this needs the scope {scope!r}", scope=scope)
            g.caller = admitted
            return view(*args, **kwargs)

        return guarded  # type: ignore[return-value]

    return decorate


def caller() -> Caller:
    """Who is calling; only inside a view that `needs` a scope."""
    who: Caller = g.caller
    return who
