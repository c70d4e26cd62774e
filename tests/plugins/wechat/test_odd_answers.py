"""Answers with a true signature and an odd shape: the outcome stays unknown, and nothing is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from app.providers import Declined, Forged, HttpResponse, Provider, Ref, Refreshes, Tools, Unknown
from app.providers.testing.doubles import FixedClock, MemoryKeys
from plugins.wechat.simulated.keys import BEGINS, ENDS
from tests.plugins.wechat.test_words import Answers, v2_answering, v3_answering
from tests.plugins.wechat.worlds import V2World, V3World

Spoil = Callable[[dict[str, Any]], None]


def elliptic_certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(BEGINS).not_valid_after(ENDS)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_an_odd_answer_to_start_leaves_it_unknown() -> None:
    world = V3World(FixedClock())
    for answer in ({}, {"prepay_id": 7}, {"prepay_id": ""}, {"prepay_id": "wx\u202e\x00"}, {"code_url": ["x"]}):
        for way in ("jsapi", "app", "native", "h5"):
            with pytest.raises(Unknown, match="read"):
                v3_answering(world, 200, answer).start(world.intent(way))


@pytest.mark.parametrize(
    "changes",
    [
        {"transaction_id": None},
        {"success_time": "2023-11-15T06:13:20"},
        {"success_time": "yesterday"},
        {"amount": None},
        {"amount": {"total": "600", "currency": "CNY"}},
        {"amount": {"total": 600.0, "currency": "CNY"}},
        {"amount": {"total": 600, "currency": "Yuan"}},
        {"amount": {"total": 0, "currency": "CNY"}},
        {"mchid": 1900000109},
        {"trade_state": None},
    ],
)
def test_an_odd_answer_to_a_query_leaves_it_unknown(changes: Mapping[str, Any]) -> None:
    world = V3World(FixedClock())
    document = {**world.transaction(), **changes}
    with pytest.raises(Unknown):
        v3_answering(world, 200, document).query(Ref(ours=document["out_trade_no"]))


@pytest.mark.parametrize(
    "changes",
    [
        {"time_end": "20140231000000"},
        {"time_end": "２０１４０９０３１３１５４０"},
        {"time_end": "yesterday"},
        {"total_fee": "6.00"},
        {"total_fee": "0600"},
        {"transaction_id": ""},
        {"trade_state": ""},
    ],
)
def test_an_odd_v2_answer_leaves_it_unknown(changes: dict[str, str]) -> None:
    world = V2World(FixedClock())
    fields = world.fields() | {"trade_state": "SUCCESS"} | changes
    with pytest.raises(Unknown):
        v2_answering(world, **fields).query(Ref(ours=fields["out_trade_no"]))


@pytest.mark.parametrize("world_class", [V3World, V2World])
def test_nothing_but_a_payments_number_can_be_asked_or_closed(world_class: type[V3World] | type[V2World]) -> None:
    world = world_class(FixedClock())
    provider: Any = world.make_provider(world.tools())
    for act in (provider.query, provider.cancel):
        with pytest.raises(Declined):
            act(Ref(agreement="1"))
    with pytest.raises(Declined):
        provider.cancel(Ref(theirs="42000"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda listing: listing.update(data={}),
        lambda listing: listing.update(data=["x"]),
        lambda listing: listing["data"][0].update(serial_no="7777"),
        lambda listing: listing["data"][0].update(encrypt_certificate=None),
        lambda listing: listing["data"][0]["encrypt_certificate"].update(ciphertext=7),
        lambda listing: listing["data"][0]["encrypt_certificate"].update(ciphertext="AAAA"),
        lambda listing: listing["data"][0]["encrypt_certificate"].update(nonce="short"),
        lambda listing: listing["data"][0]["encrypt_certificate"].update(algorithm="AEAD_SM4_GCM"),
    ],
)
def test_odd_certificates_are_not_kept(spoil: Spoil) -> None:
    world = V3World(FixedClock())
    listing = world.wechat.signer.certificates()
    spoil(listing)
    _must_keep_nothing(world, listing)


@pytest.mark.parametrize("inside", [b"not a certificate", elliptic_certificate()])
def test_what_is_no_rsa_certificate_is_not_kept(inside: bytes) -> None:
    world = V3World(FixedClock())
    listing = world.wechat.signer.certificates()
    listing["data"][0]["encrypt_certificate"] = world.wechat.signer.seal(inside, "certificate")
    _must_keep_nothing(world, listing)


def _must_keep_nothing(world: V3World, listing: Mapping[str, Any]) -> None:
    body, keys = json.dumps(listing).encode(), MemoryKeys()
    headers = {name.lower(): value for name, value in world.wechat.signer.answer_headers(body, "").items()}
    tools = Tools(http=Answers(HttpResponse(200, headers, body)), clock=world.clock, keys=keys, live=False)
    provider: Provider = world.make_provider(tools)
    assert isinstance(provider, Refreshes)
    with pytest.raises(Unknown):
        provider.refresh()
    assert not keys.all()


def test_a_forged_refund_is_refused_in_both_generations() -> None:
    for world_class in (V3World, V2World):
        world = world_class(FixedClock(datetime(2026, 3, 1, tzinfo=UTC)))
        intent, provider = world.intent(), world.make_provider(world.tools())
        provider.start(intent)
        world.pay(intent)
        world.wechat.faults.forge = 1
        refund = world.wechat.refund_on_the_merchant_site(str(intent.ref.ours), 200, "site-1")
        world.wechat.finish_refund(refund.number)
        (message,) = world.delivered()
        with pytest.raises(Forged):
            provider.receive(message)
