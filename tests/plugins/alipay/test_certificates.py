"""Serial numbers, the public root file, and what becomes of an answer when Alipay's certificate changes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from app.providers import Forged, Kind, Misconfigured, Ref, Unknown, capabilities
from plugins.alipay.certificates import read_certificates, root_serial_number, serial_number
from plugins.alipay.provider import CertifiedAlipayProvider
from plugins.alipay.simulated.keys import DemoCertificates, DemoKeys, demo_certificates, load_private
from tests.plugins.alipay import samples
from tests.plugins.alipay.actors import MADE_AT, Stage, certificate_mode, intent_for, stage, strangers
from tests.plugins.alipay.samples import FOLDER, CannedHttp

ROOT = (FOLDER / "alipayRootCert.crt").read_bytes()
ROOT_SN = "687b59193f3f462dd5336e5abf83c5d8_02941eef3187dddf3d3b83462e1dfcf6"
REF = Ref(ours="4503599627370497")


@pytest.fixture
def here() -> Stage:
    """Certificate mode, with one payment made."""
    made = stage(certificate_mode())
    made.paid(intent_for(made.clock))
    return made


def refresh(here: Stage) -> None:
    assert isinstance(here.provider, CertifiedAlipayProvider)
    here.provider.refresh()


@pytest.mark.parametrize(
    "text",
    [ROOT, ROOT.replace(b"\n", b"\r\n"), ROOT.replace(b"\n\n", b"\n"), b"# a note\n" + ROOT],
    ids=["as published", "crlf", "without blank lines", "with a note"],
)
def test_the_public_root_file_has_its_published_number_however_it_is_stored(text: bytes) -> None:
    assert root_serial_number(read_certificates(text)) == ROOT_SN


def test_the_root_file_cannot_be_read_in_one_go() -> None:
    """Why it is read block by block: should this ever pass, `read_certificates` may become simpler."""
    with pytest.raises(ValueError, match=r"."):
        x509.load_pem_x509_certificates(ROOT)


def test_the_number_is_of_the_issuer_and_the_decimal_serial() -> None:
    made = certificate_mode().certificates
    assert made is not None
    app = read_certificates(made.app_cert.encode())[0]
    text = f"CN=Simulated Authority Class 2 R1,OU=Demo,O=Simulator,C=CN{app.serial_number}"
    assert serial_number(app) == hashlib.md5(text.encode()).hexdigest()


def test_requests_carry_both_numbers(here: Stage) -> None:
    here.provider.query(REF)
    made = certificate_mode().certificates
    assert made is not None
    url = here.http.requests[-1][1]
    assert f"app_cert_sn={made.app_sn}" in url
    assert f"alipay_root_cert_sn={made.root_sn}" in url


def test_a_renewal_for_the_same_key_needs_no_download(here: Stage) -> None:
    """The usual one. Notices carry no certificate number at all, and go on being read."""
    here.alipay.gateway.renew_certificate()
    before = len(here.http.requests)
    assert [fact.kind for fact in here.provider.query(REF)] == [Kind.PAID]
    assert len(here.http.requests) == before + 1


def test_a_renewal_for_another_key_is_fetched_for_our_own_call(here: Stage) -> None:
    here.alipay.gateway.renew_certificate(strangers().alipay_private_key)
    assert [fact.kind for fact in here.provider.query(REF)] == [Kind.PAID]
    before = len(here.http.requests)
    here.provider.query(REF)
    assert len(here.http.requests) == before + 1, "and only once"
    assert here.stored.all() == (), "only refresh writes to the key store"


def test_refresh_keeps_a_renewal_where_another_process_reads_its_notices(here: Stage) -> None:
    here.alipay.gateway.renew_certificate(strangers().alipay_private_key)
    refresh(here)
    here.alipay.refund_by_hand("4503599627370497", 100)
    another = here.another_provider()
    calls = len(here.http.requests)
    assert [fact.kind for fact in another.receive(here.notices()[0]).facts] == [Kind.PAID, Kind.REFUNDED]
    assert len(here.http.requests) == calls
    (kept,) = here.stored.all()
    assert kept.name == here.alipay.gateway.certificate_sn
    assert kept.expires_at is not None


def test_a_notice_never_causes_a_download(here: Stage) -> None:
    here.alipay.gateway.renew_certificate(strangers().alipay_private_key)
    here.alipay.refund_by_hand("4503599627370497", 100)
    calls = len(here.http.requests)
    with pytest.raises(Forged, match="signature"):
        here.provider.receive(here.notices()[0])
    assert len(here.http.requests) == calls


def test_an_expired_renewal_is_no_longer_used(here: Stage) -> None:
    here.alipay.gateway.renew_certificate(strangers().alipay_private_key)
    refresh(here)
    here.clock.advance(timedelta(days=11 * 365).total_seconds())
    here.alipay.refund_by_hand("4503599627370497", 100)
    with pytest.raises(Forged, match="signature"):
        here.provider.receive(here.notices()[0])


def of_another_authority() -> DemoCertificates:
    """All names are those of Alipay's certificate, under a root of somebody's own."""
    keys = strangers()
    return demo_certificates(load_private(keys.app_private_key), load_private(keys.alipay_private_key), MADE_AT)


def offering(here: Stage, pem: str) -> str:
    """Let the gateway sign with a stranger's key, and name and offer that certificate."""
    gateway = here.alipay.gateway
    gateway.answer_key = strangers().alipay_private_key
    gateway.certificate_sn = serial_number(read_certificates(pem.encode())[0])
    gateway.certificate_pems[gateway.certificate_sn] = pem
    return gateway.certificate_sn


def app_certificate_as_authority(here: Stage) -> str:
    """What any merchant could make: a leaf with Alipay's name, issued by the certificate of its own app."""
    made = certificate_mode().certificates
    assert made is not None
    own = DemoCertificates(made.app_cert, made.app_cert + made.app_cert, made.root_cert, here.keys.app_private_key)
    return own.renewed(strangers().alipay_private_key, here.clock.now())


def test_a_certificate_that_is_no_renewal_is_not_accepted(here: Stage) -> None:
    made = certificate_mode().certificates
    assert made is not None
    false = {
        "another authority": of_another_authority().alipay_cert,
        "a merchant's app as authority": app_certificate_as_authority(here),
        "another subject": made.app_cert,
    }
    for name, pem in false.items():
        offering(here, pem)
        with pytest.raises(Unknown):
            here.another_provider().query(REF)
        with pytest.raises((Misconfigured, Unknown)):
            refresh(here)
        assert here.stored.all() == (), name


def test_a_certificate_of_another_number_than_asked_for_is_not_accepted(here: Stage) -> None:
    gateway = here.alipay.gateway
    sn = gateway.renew_certificate(strangers().alipay_private_key)
    gateway.certificate_pems["f" * 32] = gateway.certificate_pems.pop(sn)
    gateway.certificate_sn = "f" * 32
    with pytest.raises(Unknown):
        here.provider.query(REF)


def test_the_sample_in_certificate_mode_verifies_with_the_key_that_it_always_had() -> None:
    """Its `alipay_cert_sn` stands between the content and the signature."""
    body = samples.sample("sync_query_cert_mode")["raw_body"]
    assert "alipay_cert_sn" in json.loads(body)
    facts = samples.provider(CannedHttp(body.encode())).query(Ref(ours="T20260102030405000001"))
    assert [fact.kind for fact in facts] == [Kind.PAID]


def test_key_mode_has_nothing_to_refresh() -> None:
    assert capabilities(stage().provider) == ("refund", "cancel", "scan", "bills")
    assert capabilities(stage(certificate_mode()).provider) == ("refund", "cancel", "scan", "bills", "refresh")


def test_the_check_warns_of_a_certificate_that_is_of_another_authority() -> None:
    def warnings(keys: DemoKeys) -> list[str]:
        provider = stage(keys).provider
        assert isinstance(provider, CertifiedAlipayProvider)
        return list(provider.check())

    ours = certificate_mode()
    assert warnings(ours) == []
    assert ours.certificates is not None
    foreign = replace(ours.certificates, alipay_cert=of_another_authority().alipay_cert)
    assert "does not lead to alipay_root_cert" in warnings(replace(ours, certificates=foreign))[0]
