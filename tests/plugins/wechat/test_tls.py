"""API v2 refunds over real TLS, with servers that look at the merchant's certificate."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.providers import HttpClient, HttpResponse, Kind, Message, Misconfigured, Ref, Reply, Unknown
from app.providers.http import RequestsClient
from app.providers.testing.conformance import make_intent
from app.providers.testing.doubles import FixedClock, WsgiClient, tools
from plugins.wechat import plugin
from plugins.wechat.simulated.keys import Certified, certified
from plugins.wechat.simulated.wechat import SimulatedWeChat, wall_clock
from plugins.wechat.simulator import create_simulator
from plugins.wechat.v2.refunding import RefundingV2Provider
from tests.plugins.wechat.test_refunds import yuan
from tests.plugins.wechat.worlds import other_config, our_config
from tests.support.tls_server import ca_file, new_authority, serving

AUTHORITY = new_authority("the gate's")


@dataclass(frozen=True)
class Gate:
    """The simulated WeChat Pay behind TLS. It lets in two merchants, ours and another."""

    url: str
    http: RequestsClient
    app: Any

    @property
    def wechat(self) -> SimulatedWeChat:
        found: SimulatedWeChat = self.app.extensions["wechat"]
        return found

    def provider(self, showing: Certified, http: HttpClient | None = None) -> RefundingV2Provider:
        table = our_config().settings_v2(self.url) | {
            "merchant_private_key": showing.private_pem,
            "merchant_certificate": showing.certificate_pem,
        }
        built = plugin.build(
            plugin.settings.model_validate(table), tools(http or self.http, clock=FixedClock(wall_clock()))
        )
        assert isinstance(built, RefundingV2Provider)
        return built

    def paid(self) -> Ref:
        """Ordered and paid, on a line without TLS."""
        intent = make_intent(FixedClock(wall_clock()), "native", yuan(600))
        self.provider(our_config().merchant, WsgiClient(self.app)).start(intent)
        self.wechat.books.pay(str(intent.ref.ours))
        return Ref(ours=intent.ref.ours, refund="81")


def _gate(folder: Path, wants: ssl.VerifyMode) -> Iterator[Gate]:
    os.environ.setdefault("TILLBOOK_ENV", "test")
    app = create_simulator(our_config(), send=_nobody)
    clients = our_config().merchant.certificate_pem + other_config().merchant.certificate_pem
    with serving(app, folder, clients=clients, authority=AUTHORITY, wants=wants) as url:
        yield Gate(url, RequestsClient(ca_file=ca_file(AUTHORITY, folder)), app)


def _nobody(_: str, __: Message) -> Reply:
    return Reply(200, "text/plain", b"")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """As WeChat Pay's: who shows a certificate is checked, and the refund wants one to be shown."""
    yield from _gate(tmp_path, ssl.CERT_OPTIONAL)


@pytest.fixture
def strict_gate(tmp_path: Path) -> Iterator[Gate]:
    """Nobody comes in without a certificate."""
    yield from _gate(tmp_path, ssl.CERT_REQUIRED)


class RefundsThroughTheGate:
    """Sends refunds through TLS, as they come, and everything else past it."""

    def __init__(self, gate: Gate) -> None:
        self._gate, self._past = gate.http, WsgiClient(gate.app)

    def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        line: HttpClient = self._gate if "/secapi/" in url else self._past
        return line.request(method, url, **options)


class WithoutTheCertificate(RefundsThroughTheGate):
    def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        return super().request(method, url, **(options | {"certificate": None}))


def test_a_refund_goes_through_with_the_merchants_certificate(gate: Gate) -> None:
    (fact,) = gate.provider(our_config().merchant).refund(gate.paid(), yuan(200), "")
    assert (fact.kind, fact.money) == (Kind.REFUND_PENDING, yuan(200))
    assert gate.wechat.books.refunds["81"].amount == 200


def test_a_server_that_insists_is_shown_the_certificate(strict_gate: Gate) -> None:
    provider = strict_gate.provider(our_config().merchant, RefundsThroughTheGate(strict_gate))
    (fact,) = provider.refund(strict_gate.paid(), yuan(200), "")
    assert fact.kind is Kind.REFUND_PENDING
    assert strict_gate.wechat.books.refunds["81"].amount == 200


def test_without_the_certificate_a_server_that_insists_lets_nothing_happen(strict_gate: Gate) -> None:
    provider = strict_gate.provider(our_config().merchant, WithoutTheCertificate(strict_gate))
    with pytest.raises(Unknown, match="no answer"):
        provider.refund(strict_gate.paid(), yuan(200), "")
    assert not strict_gate.wechat.books.refunds


def test_without_the_certificate_a_server_that_asks_refuses(gate: Gate) -> None:
    with pytest.raises(Unknown, match="HTTP 400"):
        gate.provider(our_config().merchant, WithoutTheCertificate(gate)).refund(gate.paid(), yuan(200), "")
    assert not gate.wechat.books.refunds


def test_another_merchants_certificate_passes_the_gate_and_not_the_check_behind_it(gate: Gate) -> None:
    with pytest.raises(Misconfigured, match="CERT_ERROR"):
        gate.provider(other_config().merchant).refund(gate.paid(), yuan(200), "")
    assert not gate.wechat.books.refunds


def test_a_certificate_that_we_made_ourselves_does_not_pass_the_gate(gate: Gate) -> None:
    with pytest.raises(Unknown, match="no answer"):
        gate.provider(certified(our_config().mchid)).refund(gate.paid(), yuan(200), "")
    assert not gate.wechat.books.refunds
