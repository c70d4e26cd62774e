"""Who may come in: tokens of users, keys of backends, and every way to fake them."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient
from jwt.algorithms import RSAAlgorithm
from pydantic import SecretStr
from sqlalchemy import Engine
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import TestResponse
from werkzeug.wrappers import Request, Response

from app.config import ApiKey, UserJwt
from app.web.access import JWKS_LIFE_SECONDS, LEEWAY_SECONDS, MOST_TOKENS, Gate, Unauthorized
from tests.support.web_client import BACKEND_KEY, JWT_SECRET, ApiClient, build_client, order_body, token
from tests.support.world import World

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def claims(**changes: Any) -> dict[str, Any]:
    return {"sub": "alice", "exp": datetime.now(UTC) + timedelta(hours=1), **changes}


def products(http: FlaskClient, credentials: str | None) -> TestResponse:
    headers = {} if credentials is None else {"Authorization": credentials}
    return http.get("/v1/products", headers=headers)


def refused(answer: TestResponse) -> bool:
    problem = answer.get_json()
    return (answer.status_code, problem["code"], answer.content_type) == (
        401,
        "unauthorized",
        "application/problem+json",
    )


def unsigned(payload: dict[str, Any], algorithm: str = "none") -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value, default=str).encode()).rstrip(b"=").decode()

    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(payload)}."


@pytest.mark.parametrize(
    "credentials",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer " + "x" * 9000,
        "Bearer tbk_",
        "Bearer tbk_wrong",
        "Bearer \xff\xfe",
        "Bearer {}.{}.{}",
        f"Token {BACKEND_KEY}",
    ],
)
def test_what_are_no_credentials_is_refused(http: FlaskClient, credentials: str | None) -> None:
    answer = products(http, credentials)
    assert refused(answer)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def forgeries() -> dict[str, str]:
    soon = {**claims(), "exp": int(time.time()) + 3600}
    return {
        "unsigned": unsigned(soon),
        "unsigned, in capitals": unsigned(soon, "NONE"),
        "unsigned, but called HS256": unsigned(soon, "HS256"),
        "another secret": token("alice", secret="another secret that is long enough, too"),
        "another algorithm of the same family": jwt.encode(claims(), JWT_SECRET.ljust(64), algorithm="HS512"),
        "expired": token("alice", seconds=-31),
        "without an end": jwt.encode({"sub": "alice"}, JWT_SECRET, algorithm="HS256"),
        "without a user": jwt.encode({"exp": int(time.time()) + 60}, JWT_SECRET, algorithm="HS256"),
        "an empty user": token(""),
        "a user with a blank": token("alice bob"),
        "a user that is too long": token("a" * 129),
        "a user that is a list": jwt.encode(claims(sub=["alice"]), JWT_SECRET, algorithm="HS256"),
        "not valid yet": token("alice", nbf=datetime.now(UTC) + timedelta(hours=1)),
        "for another audience": token("alice", aud="another app"),
    }


@pytest.mark.parametrize("forgery", sorted(set(forgeries()) - {"for another audience"}))
def test_a_faked_token_is_refused(http: FlaskClient, forgery: str) -> None:
    assert refused(products(http, f"Bearer {forgeries()[forgery]}"))


def test_audience_and_issuer_are_checked_where_they_are_set(world: World, engine: Engine) -> None:
    settings = UserJwt(secret=SecretStr(JWT_SECRET), audience="the app", issuer="the login")
    http = build_client(world, engine, user_jwt=settings)
    assert products(http, f"Bearer {token('alice', aud='the app', iss='the login')}").status_code == 200
    wrongs: tuple[dict[str, Any], ...] = (
        {"aud": "another", "iss": "the login"},
        {"aud": "the app", "iss": "x"},
        {"aud": "the app"},
        {},
    )
    for wrong in wrongs:
        assert refused(products(http, f"Bearer {token('alice', **wrong)}"))


@pytest.mark.parametrize(
    ("claim", "admitted"), [("u1", True), (17, True), (True, False), (["u1"], False), (1.5, False)]
)
def test_another_claim_may_name_the_user_as_text_or_number(
    world: World, engine: Engine, claim: object, admitted: bool
) -> None:
    settings = UserJwt(secret=SecretStr(JWT_SECRET), user_claim="uid")
    http = build_client(world, engine, user_jwt=settings)
    assert (products(http, f"Bearer {token('x', uid=claim)}").status_code == 200) is admitted


# --- public keys ---


def test_a_public_key_verifies_and_is_no_hmac_secret(world: World, engine: Engine) -> None:
    http = build_client(world, engine, user_jwt=UserJwt(algorithm="RS256", public_key=PUBLIC_PEM))
    assert products(http, f"Bearer {jwt.encode(claims(), RSA_KEY, algorithm='RS256')}").status_code == 200
    assert refused(products(http, f"Bearer {jwt.encode(claims(), OTHER_KEY, algorithm='RS256')}"))
    assert refused(products(http, f"Bearer {jwt.encode(claims(), RSA_KEY, algorithm='RS512')}"))
    assert refused(products(http, f"Bearer {hmac_with(PUBLIC_PEM)}"))
    assert refused(products(http, f"Bearer {unsigned({**claims(), 'exp': int(time.time()) + 60})}"))


def hmac_with(secret: str) -> str:
    """Signed by hand: libraries refuse to use a public key as a secret."""
    import hashlib
    import hmac

    text = unsigned({"sub": "alice", "exp": int(time.time()) + 60}, "HS256").rstrip(".")
    signature = hmac.digest(secret.encode(), text.encode(), hashlib.sha256)
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_elliptic_keys_work_too(world: World, engine: Engine) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    http = build_client(world, engine, user_jwt=UserJwt(algorithm="ES256", public_key=pem))
    assert products(http, f"Bearer {jwt.encode(claims(), key, algorithm='ES256')}").status_code == 200
    assert refused(products(http, f"Bearer {jwt.encode(claims(), RSA_KEY, algorithm='RS256')}"))


# --- several keys at one time ---


def test_tokens_of_each_secret_count_while_one_is_replaced(world: World, engine: Engine) -> None:
    next_secret, former = "the next secret for users' tokens, long", "the former secret of users' tokens"
    settings = UserJwt.model_validate({"secret": JWT_SECRET, "other_secrets": [next_secret, former], "audience": "app"})
    http = build_client(world, engine, user_jwt=settings)
    for secret in (JWT_SECRET, next_secret, former):
        good = token("alice", secret=secret, aud="app")
        for _ in range(2):
            assert products(http, f"Bearer {good}").status_code == 200
        assert refused(products(http, f"Bearer {token('alice', secret=secret, aud='another app')}"))
        assert refused(products(http, f"Bearer {token('alice', secret=secret, aud='app', seconds=-31)}"))
    assert refused(products(http, f"Bearer {token('alice', secret='another secret that is long enough', aud='app')}"))


def test_a_secret_that_is_taken_out_ends_what_it_signed(world: World, engine: Engine) -> None:
    former = "the former secret of users' tokens"
    both = UserJwt.model_validate({"secret": JWT_SECRET, "other_secrets": [former]})
    signed_before = f"Bearer {token('alice', secret=former)}"
    assert products(build_client(world, engine, user_jwt=both), signed_before).status_code == 200
    assert refused(products(build_client(world, engine), signed_before))


def test_tokens_of_each_public_key_count_while_one_is_replaced(world: World, engine: Engine) -> None:
    other = OTHER_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    settings = UserJwt(algorithm="RS256", public_key=PUBLIC_PEM, other_public_keys=[other])
    http = build_client(world, engine, user_jwt=settings)
    for key in (RSA_KEY, OTHER_KEY):
        assert products(http, f"Bearer {jwt.encode(claims(), key, algorithm='RS256')}").status_code == 200
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert refused(products(http, f"Bearer {jwt.encode(claims(), stranger, algorithm='RS256')}"))
    for pem in (PUBLIC_PEM, other):
        assert refused(products(http, f"Bearer {hmac_with(pem)}"))


# --- a key set at an address ---


class KeyServer:
    """Serves what it is told to, and counts how often it is asked."""

    def __init__(self) -> None:
        self.body, self.status, self.asked = b"", 200, 0
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Mute)
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def publish(self, *names: str) -> None:
        jwk = RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)
        self.body = json.dumps(
            {"keys": [{**jwk, "kid": name, "alg": "RS256", "use": "sig"} for name in names]}
        ).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ: Any, start: Any) -> Any:
        Request(environ)
        self.asked += 1
        return Response(self.body, self.status, content_type="application/json")(environ, start)


class _Mute(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    server = KeyServer()
    server.publish("k1")
    yield server
    server.close()


@pytest.fixture
def by_key_set(world: World, engine: Engine, key_server: KeyServer) -> FlaskClient:
    return build_client(world, engine, user_jwt=UserJwt(algorithm="RS256", jwks_url=key_server.url))


def signed(name: str | None = "k1", key: Any = RSA_KEY) -> str:
    headers = {} if name is None else {"kid": name}
    return f"Bearer {jwt.encode(claims(), key, algorithm='RS256', headers=headers)}"


def test_a_key_set_is_fetched_once_and_unknown_names_do_not_flood_its_owner(
    by_key_set: FlaskClient, key_server: KeyServer
) -> None:
    for _ in range(5):
        assert products(by_key_set, signed()).status_code == 200
    for number in range(5):
        assert refused(products(by_key_set, signed(f"unknown-{number}")))
    assert refused(products(by_key_set, signed(None)))
    assert refused(products(by_key_set, signed("k1", OTHER_KEY)))
    assert key_server.asked == 1


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"keys": []}', b'{"keys": [{"kty": "x"}]}', b"\xff", b'"x"', b"null"]
)
def test_a_key_set_that_is_none_is_a_passing_trouble_not_a_defect(
    by_key_set: FlaskClient, key_server: KeyServer, body: bytes
) -> None:
    key_server.body = body
    answer = products(by_key_set, signed())
    assert (answer.status_code, answer.get_json()["code"]) == (503, "keys_unavailable")
    assert answer.headers["Retry-After"]


def test_a_key_server_that_is_away_is_a_passing_trouble_not_a_defect(
    by_key_set: FlaskClient, key_server: KeyServer
) -> None:
    key_server.close()
    assert products(by_key_set, signed()).status_code == 503
    # The backend's keys have nothing to do with it.
    assert products(by_key_set, f"Bearer {BACKEND_KEY}").status_code == 200


def test_tokens_of_each_key_of_a_set_count_while_one_is_replaced(key_server: KeyServer) -> None:
    key_server.publish("k1", "k2")
    gate = Gate(UserJwt(algorithm="RS256", jwks_url=key_server.url), {})
    assert gate.admit(signed("k1")).user_id == gate.admit(signed("k2")).user_id == "alice"


# --- tokens that were checked before ---


def test_a_token_that_was_good_is_refused_once_its_time_is_over(http: FlaskClient) -> None:
    ends = time.time() + 1.5
    bearer = f"Bearer {jwt.encode(claims(exp=int(ends) - LEEWAY_SECONDS), JWT_SECRET, algorithm='HS256')}"
    assert products(http, bearer).status_code == products(http, bearer).status_code == 200
    time.sleep(max(0.0, ends - time.time()))
    assert refused(products(http, bearer))


def test_a_token_that_was_good_is_refused_once_its_key_is_withdrawn(key_server: KeyServer) -> None:
    age = 0.0
    gate = Gate(UserJwt(algorithm="RS256", jwks_url=key_server.url), {}, lambda: age)
    first, second = signed("k1"), signed("k1")
    assert gate.admit(first) == gate.admit(first) == gate.admit(second)
    key_server.publish("k2")
    age = JWKS_LIFE_SECONDS + 1
    with pytest.raises(Unauthorized):
        gate.admit(first)
    assert gate.admit(signed("k2")).user_id == "alice"


def test_a_token_with_another_signature_is_another_token(http: FlaskClient) -> None:
    genuine = token("alice")
    assert products(http, f"Bearer {genuine}").status_code == 200
    head, _, signature = genuine.rpartition(".")
    assert refused(products(http, f"Bearer {head}.{signature[::-1]}"))
    assert refused(products(http, f"Bearer {head}."))


def test_more_tokens_than_a_process_remembers_are_admitted_all_the_same() -> None:
    gate = Gate(UserJwt(secret=SecretStr(JWT_SECRET)), {})
    bearers = [f"Bearer {token(f'user-{number}')}" for number in range(MOST_TOKENS + 2)]
    assert [gate.admit(bearer).user_id for bearer in bearers] == [f"user-{n}" for n in range(MOST_TOKENS + 2)]
    assert gate.remembered == MOST_TOKENS
    assert gate.admit(bearers[0]).user_id == "user-0"


# --- backends ---


def test_a_scope_is_needed_for_each_thing(world: World, engine: Engine) -> None:
    import hashlib

    keys = {
        name: ApiKey(sha256=hashlib.sha256(f"tbk_{name}".encode()).hexdigest(), scopes=frozenset(scopes))
        for name, scopes in {"reader": ["read"], "orderer": ["orders"], "none": []}.items()
    }
    http = build_client(world, engine, api_keys=keys)
    allowed = {}
    for name in keys:
        client = ApiClient(http, f"tbk_{name}")
        read = client.get("/v1/products")
        ordered = client.post("/v1/orders", order_body(user="alice"))
        allowed[name] = (read.status_code, ordered.status_code)
        for answer in (read, ordered):
            assert answer.status_code < 300 or answer.get_json()["code"] == "forbidden"
    assert allowed == {"reader": (200, 403), "orderer": (403, 201), "none": (403, 403)}


def test_a_backend_names_the_user_and_a_user_is_only_oneself(backend: ApiClient, alice: ApiClient) -> None:
    nameless = backend.post("/v1/orders", order_body())
    assert (nameless.status_code, nameless.get_json()["code"]) == (403, "user_missing")
    assert backend.post("/v1/orders", order_body(user="alice")).status_code == 201
    assert alice.post("/v1/orders", order_body(user="alice")).status_code == 201
    other = alice.post("/v1/orders", order_body(user="bob"))
    assert (other.status_code, other.get_json()["code"]) == (403, "forbidden")
    assert alice.get("/v1/orders", user="bob").status_code == 403
    assert len(backend.get("/v1/orders", user="alice").get_json()["orders"]) == 2


def test_a_backend_may_use_one_key_for_each_of_its_users(backend: ApiClient) -> None:
    made = [backend.post("/v1/orders", order_body(user=f"user-{n}"), key="daily") for n in range(3)]
    assert [answer.status_code for answer in made] == [201] * 3
    assert len({answer.get_json()["number"] for answer in made}) == 3


def test_also_where_two_users_share_a_slot(backend: ApiClient) -> None:
    from app.domain.numbers import slot_of_user

    twin = next(f"t{n}" for n in range(100_000) if slot_of_user(f"t{n}") == slot_of_user("alice"))
    for user in ("alice", twin):
        assert backend.post("/v1/orders", order_body(user=user), key="daily").status_code == 201


def test_without_keys_nobody_comes_in(world: World, engine: Engine) -> None:
    http = build_client(world, engine, user_jwt=None, api_keys={})
    for credentials in (f"Bearer {token('alice')}", f"Bearer {BACKEND_KEY}"):
        assert refused(products(http, credentials))
