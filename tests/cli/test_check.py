"""`tillbook check` says what it checked, and is not green for settings that cannot work or soon will not."""

from __future__ import annotations

import json
import os
import stat
import threading
import tomllib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from app.cli import main
from app.cli.provider_accounts import account_lines, certificate_lines
from app.cli.settings import check as _check_command
from app.cli.verdict import Verdict
from app.config import Settings
from app.domain.bill_lines import BillLine, BillSide, LineKind
from app.providers.errors import Misconfigured
from app.providers.registry import ProviderAccount
from app.providers.testing.doubles import tools
from plugins.sandbox.provider import SandboxProvider
from plugins.sandbox.settings import SandboxSettings
from tests.support.bill_writer import BillWriter
from tests.support.clean_environment import forget_our_variables

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = "a secret that is long enough for a test of it"
ACCOUNT = """
[provider_accounts.box]
plugin = "sandbox"
live = false
base_url = "http://127.0.0.1:1"
merchant = "m-1"
secret = "a secret that is long enough here"
"""
USERS = f'[user_jwt]\nsecret = "{SECRET}"\naudience = "tillbook"\n'
KEY = f'[api_keys.backend]\nsha256 = "{"0" * 64}"\nscopes = ["read"]\n'
PRODUCTION = 'env = "production"\npublic_url = "https://pay.example"\ndatabase_url = "sqlite:///books.sqlite3"\n'
TEST = 'env = "test"\ndatabase_url = "sqlite:///books.sqlite3"\n'


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    forget_our_variables(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def checked(folder: Path, document: str) -> Result:
    (folder / "tillbook.toml").write_text(document)
    migrated = run("migrate")
    assert migrated.exit_code == 0, migrated.output
    return run("check")


def test_each_thing_that_was_checked_has_a_line(folder: Path) -> None:
    done = checked(folder, TEST + USERS + KEY + ACCOUNT)
    assert done.exit_code == 0, done.output
    lines = [line.split(": ")[0].split(maxsplit=1) for line in done.output.splitlines()]
    assert lines == [
        ["ok", "settings"],
        ["ok", "database"],
        ["ok", "user tokens"],
        ["ok", "API keys"],
        ["ok", "provider account box"],
    ]
    assert _check_command.help


@pytest.mark.parametrize(
    ("document", "line", "status"),
    [
        (PRODUCTION + USERS + KEY + ACCOUNT, "FAIL     provider accounts: none is live", 1),
        (PRODUCTION + USERS + KEY + ACCOUNT, "warning  provider account box: sandbox, sandbox: live = false", 1),
        (PRODUCTION + KEY, "warning  user tokens: there is no [user_jwt]", 0),
        (PRODUCTION, "FAIL     user tokens: there is no [user_jwt]", 1),
        (TEST + ACCOUNT, "warning  user tokens: there is no [user_jwt]", 0),
        (TEST + USERS, "warning  provider accounts: there is none", 0),
        (TEST + USERS, "warning  API keys: there is none", 0),
        (TEST + f'[user_jwt]\nsecret = "{SECRET}"\n', "warning  user tokens: no audience", 0),
    ],
)
def test_settings_that_leave_out_something_are_not_green(folder: Path, document: str, line: str, status: int) -> None:
    done = checked(folder, document)
    assert line in done.output
    assert done.exit_code == status


def test_an_old_schema_fails_beside_the_other_lines(folder: Path) -> None:
    (folder / "tillbook.toml").write_text(TEST + USERS + ACCOUNT)
    done = run("check")
    assert done.exit_code == 1
    assert "FAIL     database: sqlite, schema empty" in done.output
    assert "tillbook migrate" in done.output


class _KeySet(BaseHTTPRequestHandler):
    document: bytes = b"<html>"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.document)

    def log_message(self, *_: object) -> None:
        """Nothing: the lines would hide what failed."""


@pytest.fixture
def key_server() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _KeySet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/keys"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_key_set_is_fetched(folder: Path, key_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    document = TEST + f'[user_jwt]\nalgorithm = "ES256"\njwks_url = "{key_server}"\naudience = "a"\n'
    done = checked(folder, document)
    assert done.exit_code == 1
    assert f"FAIL     user tokens: {key_server} gives no key set" in done.output
    key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
    monkeypatch.setattr(_KeySet, "document", json.dumps({"keys": [{**key, "kid": "1"}]}).encode())
    good = checked(folder, document)
    assert f"ok       user tokens: ES256, with the keys at {key_server}" in good.output
    assert good.exit_code == 0


def _public(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_users_key_that_cannot_verify_is_refused(folder: Path) -> None:
    p256 = _public(ec.generate_private_key(ec.SECP256R1()).public_key())
    p384 = _public(ec.generate_private_key(ec.SECP384R1()).public_key())
    short = _public(rsa.generate_private_key(65537, 1024).public_key())
    for algorithm, key, why in (
        ("RS256", "garbage", "not a public key in PEM"),
        ("RS256", p256, "RS256 needs an RSA key"),
        ("RS256", short, "2048 bits"),
        ("ES256", p384, "P-256"),
        ("ES256", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "not a public key in PEM"),
    ):
        (folder / "tillbook.toml").write_text(f'{TEST}[user_jwt]\nalgorithm = "{algorithm}"\npublic_key = """{key}"""')
        done = run("check")
        assert (done.exit_code, why in done.output) == (1, True), done.output
    good = checked(folder, f'{TEST}[user_jwt]\nalgorithm = "ES256"\naudience = "a"\npublic_key = """{p256}"""')
    assert good.exit_code == 0, good.output


@pytest.mark.parametrize("url", ["keys", "https://", "ftp://a/b", "https:///keys", "https://[", "https://a b/"])
def test_an_address_of_keys_that_is_none_is_refused(folder: Path, url: str) -> None:
    (folder / "tillbook.toml").write_text(f'{TEST}[user_jwt]\nalgorithm = "RS256"\njwks_url = "{url}"')
    done = run("check")
    assert (done.exit_code, "user_jwt.jwks_url: not the address of a key set" in done.output) == (1, True)


def test_users_keys_come_by_https_in_production() -> None:
    with pytest.raises(ValueError, match="keys are fetched by https in production"):
        Settings(public_url="https://a", user_jwt={"algorithm": "RS256", "jwks_url": "http://a/keys"})  # type: ignore[arg-type]


def _certificate(days: int, *, subject: str = "us", issuer: str = "them") -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    builder = x509.CertificateBuilder(names[1], names[0], key.public_key(), x509.random_serial_number())
    ends = NOW + timedelta(days=days, hours=1)
    made = builder.not_valid_before(ends - timedelta(days=400)).not_valid_after(ends).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


def test_certificates_that_end_soon_are_warned_about_and_those_that_are_over_fail(tmp_path: Path) -> None:
    path = tmp_path / "cert.pem"
    path.write_text(_certificate(29))
    table = {
        "a": _certificate(30),
        "b": str(path),
        "c": _certificate(-1),
        "d": _certificate(3) + _certificate(900),  # a chain: its own certificate counts
        "e": _certificate(-5, subject="root", issuer="root") + _certificate(90, subject="r2", issuer="r2"),
        "secret": "no certificate",
        "number": 5,
    }
    lines = list(certificate_lines("provider account x", table, NOW))
    assert [line.verdict for line in lines] == [
        Verdict.OK,
        Verdict.WARNING,
        Verdict.FAIL,
        Verdict.WARNING,
        Verdict.OK,
    ]
    assert "29 days from now" in lines[1].text


class Particular(SandboxProvider):
    """A provider that takes a payment only when it has almost three minutes, and has something to say about itself."""

    least_seconds = 170

    def __init__(self, *warnings: str, fault: str = "") -> None:
        settings = SandboxSettings(base_url="http://127.0.0.1:1", merchant="m-1", secret=SecretStr(SECRET))
        super().__init__(settings, tools())
        self.warnings, self.fault = warnings, fault

    def check(self) -> Iterable[str]:
        yield from self.warnings
        if self.fault:
            raise Misconfigured(self.fault)


def test_a_plugins_own_check_is_asked_and_its_least_time_is_kept() -> None:
    def texts(provider: Particular, minutes: int) -> list[tuple[Verdict, str]]:
        settings = Settings(env="test", order_minutes=minutes)
        account = ProviderAccount("x", "particular", False, provider)
        return [(line.verdict, line.text) for line in account_lines(settings, account, NOW)]

    first = (Verdict.OK, "provider account x: particular, sandbox")
    assert texts(Particular(), 3) == [first]
    assert texts(Particular(), 2) == [
        first,
        (Verdict.FAIL, "provider account x: order_minutes = 2 is less than it takes payments for: write 3 or more"),
    ]
    assert texts(Particular("a key ends soon", fault="two keys are swapped"), 30) == [
        first,
        (Verdict.WARNING, "provider account x: a key ends soon"),
        (Verdict.FAIL, "provider account x: two keys are swapped"),
    ]


def test_an_odd_certificate_is_not_taken_for_one() -> None:
    odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    assert list(certificate_lines("x", {"a": odd, "b": "\0", "c": "x" * 5000}, NOW)) == []


def test_the_database_file_is_for_its_owner_alone(folder: Path) -> None:
    old = os.umask(0o022)
    try:
        done = checked(folder, TEST + USERS + KEY + ACCOUNT)
    finally:
        os.umask(old)
    files = list(folder.glob("books.sqlite3*"))
    assert files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert "chmod" not in done.output
    (folder / "books.sqlite3").chmod(0o644)
    assert "warning  database: others can read" in run("check").output


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("backend", "backend"),
        ("Backend X", "backend-x"),
        ('a"b]\n[x]', "a-b-x"),
        ("后端", "backend"),
        ("a" * 99, "a" * 32),
    ],
)
def test_a_new_key_is_toml_that_the_settings_take_whatever_its_name(folder: Path, name: str, written: str) -> None:
    made = run("keys", "new", "--scope", "read", "--scope", "spend", "--", name)
    assert made.exit_code == 0, made.output
    document = tomllib.loads(made.stdout)
    assert list(document["api_keys"]) == [written]
    assert tomllib.loads(made.output) == document, "what is said beside it is comment"
    assert Settings(env="test", **document).api_keys[written].scopes == {"read", "spend"}
    assert "tbk_" in made.stderr
    assert "tbk_" not in made.stdout


def test_a_database_for_reports_that_is_away_is_a_warning(folder: Path) -> None:
    (folder / "tillbook.toml").write_text(TEST + USERS + KEY + ACCOUNT)
    assert run("migrate").exit_code == 0
    away = 'reports_database_url = "sqlite:///replica.sqlite3"\n'
    done = checked(folder, TEST + away + USERS + KEY + ACCOUNT)
    assert done.exit_code == 0, done.output
    assert "warning  database for reports: the replica does not answer" in done.output
    assert not (folder / "replica.sqlite3").exists()
    (folder / "replica.sqlite3").write_bytes((folder / "books.sqlite3").read_bytes())
    done = run("check")
    assert "ok       database for reports: sqlite, how far it is behind cannot be seen" in done.output
    assert run("audit", "--replica", "--quiet").output == "audit: balanced\n"
    (folder / "replica.sqlite3").unlink()
    assert "the replica does not answer" in run("report", "trial-balance").output
    assert run("orders", "list", "--user", "alice").exit_code == 0
    assert run("orders", "list").exit_code == 1


def test_an_audit_of_a_replica_that_is_not_there_is_no_audit_of_the_database(folder: Path) -> None:
    assert checked(folder, TEST + USERS + KEY + ACCOUNT).exit_code == 0
    done = run("audit", "--replica")
    assert (done.exit_code, "reports_database_url" in done.output) == (2, True)


def test_months_of_utc_beside_bills_of_another_zone_are_a_warning_until_the_zone_is_set(folder: Path) -> None:
    said = "[ledger] zone: not set, so days and months are those of UTC; those of the bills are not: box (Asia/Tokyo)"
    assert said not in checked(folder, TEST + USERS + KEY + ACCOUNT).output
    engine = create_engine(f"sqlite:///{folder / 'books.sqlite3'}")
    day = datetime(2026, 1, 1, 15, tzinfo=UTC)
    bills = BillWriter(sessionmaker(engine), account="box", zone="Asia/Tokyo")
    lines = [BillLine("1", LineKind.FEE, day, -4, "CNY")]
    bills.write("a day", BillSide.FUNDS, day, day + timedelta(days=1), lines, day)
    engine.dispose()
    done = checked(folder, TEST + USERS + KEY + ACCOUNT)
    assert (done.exit_code, f"warning  {said}" in done.output) == (0, True)
    assert said not in checked(folder, TEST + '[ledger]\nzone = "UTC"\n' + USERS + KEY + ACCOUNT).output
