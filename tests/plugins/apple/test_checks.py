"""`tillbook check` says what can be built and is wrong all the same."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from app.cli.provider_accounts import account_lines
from app.cli.verdict import Verdict
from app.config import Settings
from app.providers import Tools
from app.providers.registry import build_accounts
from app.providers.testing.doubles import FixedClock, MemoryKeys, NoNetwork
from plugins.apple import plugin
from plugins.apple.roots import apple_root
from tests.plugins.apple.test_settings import genuine
from tests.plugins.apple.world import Shop

NOW = FixedClock().now()
APPLE = base64.b64encode(apple_root()).decode()


def warnings(settings: Mapping[str, Any], *, live: bool = False, now: datetime = NOW) -> list[str]:
    """What the whole command warns of."""
    tools = Tools(http=NoNetwork(), clock=FixedClock(now), keys=MemoryKeys(), live=live)
    table = {"plugin": "apple", "live": live, **settings}
    account = build_accounts({"a": table}, lambda *_: tools, {"apple": plugin}).get("a")
    assert account is not None
    return [line.text for line in account_lines(Settings(env="test"), account, now) if line.verdict is Verdict.WARNING]


def root(ends: datetime = NOW + timedelta(days=400), issuer: str = "A root") -> str:
    """A certificate of that name, signed by its own key, or by another's whose name is given."""
    key = ec.generate_private_key(ec.SECP384R1())
    signer = key if issuer == "A root" else ec.generate_private_key(ec.SECP384R1())
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("A root", issuer)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(ends)
        .sign(signer, hashes.SHA384())
    )
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def at_simulator(*trusted: str) -> dict[str, Any]:
    return {**Shop().settings(), "trusted_roots": list(trusted)}


def test_settings_that_are_right_are_warned_of_by_nothing() -> None:
    assert warnings(genuine(), live=True) == []
    assert warnings(genuine()) == []
    assert warnings(genuine(trusted_roots=[APPLE])) == []
    assert warnings(at_simulator(root())) == []


def test_a_foreign_root_in_the_place_of_apples_is_warned_of_where_apple_is_asked() -> None:
    (text,) = warnings(genuine(trusted_roots=[root()]))
    assert "names no root of Apple's" in text
    assert "https://api.storekit-sandbox.apple.com" in text


def test_a_foreign_root_beside_apples_is_warned_of_where_apple_is_asked() -> None:
    (text,) = warnings(genuine(trusted_roots=[APPLE, root()]))
    assert "can forge purchases" in text


@pytest.mark.parametrize(("days", "said"), [(-1, "ended on"), (29, "ends on"), (31, "")])
def test_the_end_of_a_trusted_root_is_told_before_it_comes(days: int, said: str) -> None:
    told = warnings(at_simulator(root(NOW + timedelta(days=days))))
    assert [said in text for text in told] == ([True] if said else [])


def test_the_end_of_apples_own_root_is_told_too() -> None:
    (text,) = warnings(genuine(), live=True, now=datetime(2039, 4, 10, tzinfo=NOW.tzinfo))
    assert "Apple Root CA - G3" in text
    assert "ends on 2039-04-30" in text


def test_a_certificate_below_a_root_is_no_root() -> None:
    (text,) = warnings(at_simulator(root(issuer="Somebody above")))
    assert "does not certify itself" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer_id": "issuer"}, "issuer_id is no UUID"),
        ({"key_id": "AuthKey_ABCDEFGHIJ.p8"}, "key_id is not ten capital letters and digits"),
        ({"key_id": "abcdefghij"}, "key_id is not ten capital letters and digits"),
    ],
)
def test_names_of_the_key_that_cannot_be_right_are_warned_of(changes: dict[str, Any], said: str) -> None:
    (text,) = warnings(genuine(**changes), live=True)
    assert said in text


def test_a_team_key_with_odd_names_or_the_other_keys_is_told() -> None:
    team = {
        "vendor_number": "80012345",
        "connect_issuer_id": "69a6de70-03db-47e3-e053-5b8c7c11a4d1",
        "connect_key_id": "ZYXWVUTSRQ",
        "connect_private_key": genuine()["private_key"],
    }
    assert warnings(genuine(**team)) == warnings(genuine())
    (same,) = set(warnings(genuine(**team, key_id="ZYXWVUTSRQ"))) - set(warnings(genuine()))
    assert "a team key, which is another one" in same
    (odd,) = set(warnings(genuine(**team | {"connect_issuer_id": "me"}))) - set(warnings(genuine()))
    assert odd.endswith(
        "connect_issuer_id is no UUID: copy it from App Store Connect (Users and Access, Integrations, Team Keys)"
    )
