"""A setting that is not read, or cannot be, is named with what to write; in our words, and without its value."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.config import BadSettings, load, load_serving

SECRET = "the-value-that-nobody-may-see"
FOREIGN_WORDS = ("Input should", "pydantic", "https://errors", "validation error", "Extra inputs", "type=", "Traceback")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.upper().startswith("TILLBOOK_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    return monkeypatch


def refusal() -> str:
    with pytest.raises(BadSettings) as refused:
        load()
    text = str(refused.value)
    assert SECRET not in text
    assert not [word for word in FOREIGN_WORDS if word in text], text
    return text


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("TILLBOOK_DATABSE_URL", "'database_url'"),
        ("TILLBOOK_DATABASEURL", "'database_url'"),
        ("TILLBOOK_DATABASE__URL", "'database_url'"),
        ("TILLBOOK_USER_JWT_SECRET", "'user_jwt__secret'"),
        ("TILLBOOK_CONFIG_FILE", "'config'"),
        ("TILLBOOK_WEB_WORKER", "'web_workers'"),
        ("tillbook_order_minuts", "'order_minutes'"),
        ("TILLBOOK_ENV__NAME", ""),
        ("TILLBOOK_XYZZY", ""),
        ("TILLBOOK_", ""),
    ],
)
def test_a_variable_that_is_not_read_is_refused_with_the_nearest_name(
    environment: pytest.MonkeyPatch, variable: str, meant: str
) -> None:
    environment.setenv(variable, SECRET)
    text = refusal()
    assert f"{variable}: there is no such setting" in text
    assert meant in text


@pytest.mark.parametrize(
    "file", ["databse_url", "user_jwt_secret", "database_url.txt", "bind", "tillbook_database_url"]
)
def test_a_file_of_secrets_that_is_not_read_is_refused(
    environment: pytest.MonkeyPatch, tmp_path: Path, file: str
) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "..data").mkdir()  # as Kubernetes mounts secrets
    (folder / ".hidden").write_text("x")
    environment.setenv("TILLBOOK_SECRETS_DIR", str(folder))
    assert load().env == "test"
    (folder / file).write_text(SECRET)
    assert f"{folder / file}: there is no such setting" in refusal()


def test_a_folder_among_the_secrets_is_refused(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secrets" / "user_jwt").mkdir(parents=True)
    environment.setenv("TILLBOOK_SECRETS_DIR", str(tmp_path / "secrets"))
    assert "user_jwt: is a folder" in refusal()


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("order_minutes = 0", "order_minutes: is too small: write 1 or more"),
        ("order_minutes = 5000", "order_minutes: is too large: write 1440 or less"),
        ('order_minutes = "soon"', "order_minutes: must be a whole number"),
        ("order_minutes = 1.5", "order_minutes: must be a whole number"),
        ("order_minuts = 5", "order_minuts: there is no such setting (did you mean 'order_minutes'?)"),
        ('late_payment = "keep"', "late_payment: is none of the words that are known: write 'credit', 'park' or"),
        ('database_durable = "perhaps"', "database_durable: must be true or false"),
        ("user_jwt = 5", "user_jwt: must be a table"),
        ("[user_jwt]\nsecrt = 'x'", "user_jwt.secrt: there is no such setting (did you mean 'secret'?)"),
        ("[user_jwt]\nsecret = 5", "user_jwt.secret: must be a text, in quotes"),
        ("[api_keys.a]\nscopes = []", "api_keys.a.sha256: is missing: write it"),
        ("[api_keys.a]\nsha256 = 'x'\nscopes = 5", "api_keys.a.scopes: must be a list"),
        ("[ledger]\nzone_since = 'x'", "ledger.zone_since: must be a time with its zone"),
        ("[ledger]\nzone = 'Mars/Base'", "ledger.zone: not a time zone that this machine knows"),
        ("[ledger.limits.coin]\nday = 99999999999999999999", "ledger.limits.coin.day: "),
        ("bind = '0.0.0.0:1'", "bind: there is no such setting; set TILLBOOK_BIND in the environment"),
        ("provider_accounts = []", "provider_accounts: must be a table"),
        ("provider_accounts.a = 5", "provider_accounts.a: must be a table"),
        ("database_url = 'mysql://x'", "database_url: write sqlite:///<file> or postgresql://"),
    ],
)
def test_each_fault_of_the_file_is_a_sentence_of_ours(tmp_path: Path, document: str, told: str) -> None:
    (tmp_path / "tillbook.toml").write_text(document)
    assert told in refusal()


@pytest.mark.parametrize("name", ["API_KEYS", "USER_JWT", "PROVIDER_ACCOUNTS", "LEDGER"])
def test_a_table_that_is_given_as_text_is_refused(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(f"TILLBOOK_{name}", SECRET)
    assert f"{name.lower()}: must be a table" in refusal()


def test_a_file_that_is_no_text_is_refused(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tillbook.toml").write_bytes(b"\xff\xfe = 1")
    assert "not a text in UTF-8" in refusal()
    (tmp_path / "tillbook.toml").unlink()
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "database_url").write_bytes(b"\xff")
    environment.setenv("TILLBOOK_SECRETS_DIR", str(tmp_path / "s"))
    assert "not a text in UTF-8" in refusal()


@pytest.mark.parametrize("value", ["0", "65", "many"])
def test_gunicorns_settings_are_refused_in_one_line(environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("TILLBOOK_WEB_WORKERS", value)
    with pytest.raises(BadSettings, match="TILLBOOK_WEB_WORKERS: "):
        load_serving()
    root = Path(__file__).parents[1]
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:app.serving", "wsgi:application"]
    done = subprocess.run(gunicorn, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "TILLBOOK_WEB_WORKERS" in done.stderr
    assert not [word for word in FOREIGN_WORDS if word in done.stderr]


def test_a_plugins_settings_are_refused_in_the_same_words() -> None:
    from app.composition import build_house
    from app.config import Settings
    from app.providers.errors import Misconfigured

    table = {"plugin": "sandbox", "live": False, "base_url": "nowhere", "marchant": "m", "secret": SECRET * 2}
    with pytest.raises(Misconfigured) as refused:
        build_house(Settings(env="test", database_url="sqlite://", provider_accounts={"box": table}))
    text = str(refused.value)
    assert "marchant: there is no such setting (did you mean 'merchant'?)" in text
    assert "merchant: is missing" in text
    assert "base_url: is not written as it must be" in text
    assert not [word for word in FOREIGN_WORDS if word in text]


def test_a_catalogue_is_refused_in_the_same_words() -> None:
    from app.services.accounts.catalog import BadCatalogue, parse_catalogue

    with pytest.raises(BadCatalogue) as refused:
        parse_catalogue('[[products]]\nsku = 5\ntitel = "x"\nprices = 6')
    text = str(refused.value)
    assert "products.0.titel: there is no such setting (did you mean 'title'?)" in text
    assert "products.0.sku: must be a text, in quotes" in text
    assert not [word for word in FOREIGN_WORDS if word in text]
