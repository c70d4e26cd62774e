"""The port's HTTP client shows a certificate in TLS where a call asks for it, to a server that insists on one."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.providers import ClientCertificate, Misconfigured, Unknown
from app.providers.http import RequestsClient
from tests.support.tls_server import Authority, ca_file, echo, new_authority, serving

AUTHORITY = new_authority("ours")
CLIENTS = new_authority("the clients'")
OURS = CLIENTS.issue("us")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with serving(echo, tmp_path, clients=CLIENTS.pem, authority=AUTHORITY) as address:
        yield address


@pytest.fixture
def http(tmp_path: Path) -> RequestsClient:
    return RequestsClient(ca_file=ca_file(AUTHORITY, tmp_path))


def test_the_certificate_reaches_a_server_that_wants_one(url: str, http: RequestsClient) -> None:
    answer = http.request("POST", url, body=b"x", certificate=OURS)
    assert (answer.status, answer.body.decode().strip()) == (200, OURS.chain.strip())


def test_without_one_there_is_no_answer(url: str, http: RequestsClient) -> None:
    with pytest.raises(Unknown):
        http.request("GET", url)


def test_a_call_without_it_does_not_borrow_the_connection_of_a_call_with_it(url: str, http: RequestsClient) -> None:
    http.request("GET", url, certificate=OURS)
    with pytest.raises(Unknown):
        http.request("GET", url)
    other = CLIENTS.issue("somebody else")
    assert http.request("GET", url, certificate=other).body.decode().strip() == other.chain.strip()


def test_a_certificate_from_another_authority_is_not_let_in(url: str, http: RequestsClient) -> None:
    with pytest.raises(Unknown):
        http.request("GET", url, certificate=new_authority("strangers").issue("us"))


def test_a_server_that_does_not_ask_is_shown_nothing(tmp_path: Path, http: RequestsClient) -> None:
    with serving(echo, tmp_path, clients=CLIENTS.pem, authority=AUTHORITY, wants=ssl.CERT_NONE) as address:
        assert http.request("GET", address, certificate=OURS).body == b""


@pytest.mark.parametrize("certificate", [None, OURS], ids=["without a certificate", "with one"])
def test_the_server_is_checked_all_the_same(url: str, tmp_path: Path, certificate: ClientCertificate | None) -> None:
    for client in (RequestsClient(), RequestsClient(ca_file=_another(tmp_path))):
        with pytest.raises(Unknown):
            client.request("GET", url, certificate=certificate)


def _another(folder: Path) -> str:
    (folder / "another").mkdir()
    authority: Authority = new_authority("not theirs")
    return ca_file(authority, folder / "another")


@pytest.mark.parametrize(
    "certificate",
    [
        replace(OURS, private_key=CLIENTS.issue("another").private_key),
        replace(OURS, chain=""),
        replace(OURS, private_key=""),
        replace(OURS, chain="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ClientCertificate("x", "y"),
    ],
    ids=["another's key", "no certificate", "no key", "no content", "garbage"],
)
def test_what_does_not_belong_together_is_misconfigured(url: str, certificate: ClientCertificate) -> None:
    with pytest.raises(Misconfigured) as told:
        certificate.check()
    assert told.value.__cause__ is None
    with pytest.raises(Misconfigured):
        RequestsClient().request("GET", url, certificate=certificate)


def test_the_key_is_in_no_repr_and_left_on_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    OURS.check()
    assert list(tmp_path.iterdir()) == []
    assert OURS.private_key.splitlines()[1] not in repr(OURS)
