"""Tokens, exchanges, and what each error means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import jwt
import pytest

from app.providers import (
    Declined,
    Fact,
    HttpResponse,
    Misconfigured,
    ProviderError,
    Ref,
    Retryable,
    Unknown,
)
from app.providers.http import MAX_RESPONSE_BYTES
from app.providers.testing.doubles import RewritingHttp
from tests.plugins.apple.world import Shop, kinds


@pytest.fixture
def shop() -> Shop:
    return Shop()


class Unreleased:
    """Production answers 401, as it does before an app's first release."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        max_bytes: int = MAX_RESPONSE_BYTES,
    ) -> HttpResponse:
        if "/production/" in url:
            return HttpResponse(401, {}, b"Unauthenticated")
        return self._shop.http.request(method, url, headers=headers, body=body, max_bytes=max_bytes)


class Recorder:
    """Keeps the requests with their headers."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.requests: list[tuple[str, str, Mapping[str, str]]] = []

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        max_bytes: int = MAX_RESPONSE_BYTES,
    ) -> HttpResponse:
        self.requests.append((method, url, dict(headers or {})))
        return self._shop.http.request(method, url, headers=headers, body=body, max_bytes=max_bytes)


def test_the_token_is_the_one_that_apple_describes(shop: Shop) -> None:
    recorder = Recorder(shop)
    shop.provider(recorder).query(Ref(theirs=shop.buy().id))
    token = recorder.requests[0][2]["authorization"].removeprefix("Bearer ")
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "SIMULATED1", "typ": "JWT"}
    now = int(shop.clock.now().timestamp())
    options: Any = {"verify_exp": False, "verify_iat": False}
    key = shop.store.api_key.public_key()
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="appstoreconnect-v1", options=options)
    assert claims == {
        "iss": "57246542-96fe-1a63-e053-0824d011072a",
        "iat": now,
        "exp": now + 300,
        "aud": "appstoreconnect-v1",
        "bid": "com.example.coins",
    }


def test_production_is_asked_first_and_the_sandbox_only_where_it_knows_nothing(shop: Shop) -> None:
    for environment, hosts in (("Production", ["production"]), ("Sandbox", ["production", "sandbox"])):
        recorder, purchase = Recorder(shop), shop.buy(environment=environment)
        (paid,) = shop.provider(recorder).query(Ref(theirs=purchase.id))
        assert paid.live is (environment == "Production")
        assert [url.split("/")[3] for _, url, _ in recorder.requests] == hosts


def test_an_environment_that_is_not_taken_is_not_asked(shop: Shop) -> None:
    recorder, purchase = Recorder(shop), shop.buy()
    assert shop.provider(recorder, environments=["Production"]).query(Ref(theirs=purchase.id)) == ()
    assert len(recorder.requests) == 1


def answered(
    status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> Callable[[HttpResponse], HttpResponse]:
    return lambda _: HttpResponse(status, {"content-type": "application/json"} | dict(headers or {}), body)


def error(code: int) -> bytes:
    return b'{"errorCode":%d,"errorMessage":"no"}' % code


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, error(4000006), Declined),
        (400, error(4000002), Misconfigured),
        (401, b"Unauthenticated", Misconfigured),
        (403, error(4030005), Declined),
        (404, error(4040002), Retryable),
        (404, error(4040003), Misconfigured),
        (404, error(4040004), Retryable),
        (404, error(4040006), Retryable),
        (404, b"<html>not found</html>", Unknown),
        (404, b"", Unknown),
        (429, error(4290000), Retryable),
        (429, b"", Retryable),
        (500, error(5000000), Unknown),
        (500, error(5000001), Retryable),
        (502, b"<html></html>", Unknown),
        (301, b"", Unknown),
        (204, b"", Unknown),
        (200, b"", Unknown),
        (200, b"[]", Unknown),
        (200, b"{}", Unknown),
        (200, b'{"signedTransactionInfo":7}', Unknown),
    ],
)
def test_an_answer_means_what_apple_says(shop: Shop, status: int, body: bytes, expected: type[ProviderError]) -> None:
    provider = shop.provider(RewritingHttp(shop.http, answered(status, body)))
    with pytest.raises(ProviderError) as caught:
        provider.query(Ref(theirs=shop.buy().id))
    assert type(caught.value) is expected


@pytest.mark.parametrize("code", [4040001, 4040005, 4040010])
def test_not_found_is_no_fact(shop: Shop, code: int) -> None:
    provider = shop.provider(RewritingHttp(shop.http, answered(404, error(code))))
    assert provider.query(Ref(theirs="1")) == ()


def test_a_fresh_purchase_that_apple_does_not_know_yet_is_known_later(shop: Shop) -> None:
    purchase, provider = shop.buy(), shop.provider()
    shop.store.troubles += [4040010, 4040010]
    assert provider.query(Ref(theirs=purchase.id)) == ()
    assert kinds(provider.query(Ref(theirs=purchase.id))) == ["paid"]


def test_retry_after_is_a_moment_in_milliseconds(shop: Shop) -> None:
    shop.store.troubles.append(4290000)
    with pytest.raises(Retryable) as caught:
        shop.provider().query(Ref(theirs=shop.buy().id))
    assert caught.value.not_before == shop.clock.now() + timedelta(seconds=30)
    assert caught.value.code == "4290000"


@pytest.mark.parametrize("text", ["30", "Wed, 21 Oct 2026 07:28:00 GMT", "-1767322000000", "99999999999999999999"])
def test_a_retry_after_of_another_form_is_ignored(shop: Shop, text: str) -> None:
    provider = shop.provider(RewritingHttp(shop.http, answered(429, error(4290000), {"retry-after": text})))
    with pytest.raises(Retryable) as caught:
        provider.query(Ref(theirs="1"))
    assert caught.value.not_before is None


def test_before_the_first_release_production_answers_401_to_a_good_key(shop: Shop) -> None:
    purchase = shop.buy()

    assert kinds(shop.provider(Unreleased(shop), released=False).query(Ref(theirs=purchase.id))) == ["paid"]
    with pytest.raises(Misconfigured):
        shop.provider(Unreleased(shop), released=True).query(Ref(theirs=purchase.id))


def test_a_wrong_key_is_misconfigured(shop: Shop) -> None:
    other = Shop().settings()["private_key"]
    with pytest.raises(Misconfigured):
        shop.provider(private_key=other).query(Ref(theirs=shop.buy().id))


def test_an_id_never_changes_the_path(shop: Shop) -> None:
    recorder = Recorder(shop)
    provider = shop.provider(recorder)
    for text in ("../notifications/test", "1/../2", "1?x=1", "", " 1", "x-1"):
        found: tuple[Fact, ...] = provider.query(Ref(theirs=text))
        assert found == ()
    assert recorder.requests == []
