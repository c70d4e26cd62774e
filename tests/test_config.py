"""Settings: where they come from, which wins, and that a fault is named without its value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from app.composition import build_house, database_url, rules_of
from app.config import BadSettings, Settings, UserJwt
from app.domain.deciding import Late, Surplus
from app.providers.errors import Misconfigured
from app.services.base.moved_clock import MovedClock
from tests.support.clean_environment import forget_our_variables

SECRET = "a secret that is long enough for a test of it"


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No file, no variables."""

    forget_our_variables(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def faults(**values: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        Settings(**values)
    return str(refused.value)


def test_production_is_the_default_and_wants_https() -> None:
    assert "https" in faults()
    assert Settings(public_url="https://pay.example/").public_url == "https://pay.example"
    assert Settings(env="development").public_url.startswith("http://127.0.0.1")


def test_only_the_demonstration_and_tests_move_the_clock(tmp_path: Path) -> None:
    for env in ("production", "development"):
        told = faults(env=env, public_url="https://pay.example", clock_offset_file=tmp_path / "clock")
        assert "clock_offset_file: only the demonstration and tests move the clock" in told
    file = tmp_path / "clock"
    settings = Settings(env="demo", clock_offset_file=file, database_url="sqlite://")
    core = build_house(settings).core
    assert abs(core.clock.now() - datetime.now(UTC)) < timedelta(minutes=1), "no file: the machine's time"
    ahead = datetime.now(UTC) + timedelta(days=40)
    MovedClock(file).move_to(ahead)
    assert timedelta(0) <= core.clock.now() - ahead < timedelta(minutes=1)
    MovedClock(file).move_to(ahead - timedelta(days=3))
    assert core.clock.now() >= ahead, "time does not go backwards"


@pytest.mark.parametrize("text", ["soon", "-5", "nan", "inf", "1e12", "\xff"])
def test_a_clock_file_that_holds_no_span_of_time_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    file = tmp_path / "clock"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(BadSettings, match=r"^clock_offset_file: "):
        build_house(Settings(env="test", clock_offset_file=file, database_url="sqlite://"))


@pytest.mark.parametrize("url", ["pay.example", "ftp://pay.example", "https://a?b", "https://a#b", ""])
def test_the_public_address_is_an_absolute_url(url: str) -> None:
    assert "public_url" in faults(env="test", public_url=url)


def test_the_environment_beats_the_secrets_and_they_beat_the_file(empty: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tillbook.toml").write_text(
        'env = "test"\norder_minutes = 10\ngrace_seconds = 100\nlate_payment = "park"\n'
        '[provider_accounts.box]\nplugin = "sandbox"\nlive = false\nsecret = "from the file"\n'
    )
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "provider_accounts__box__secret").write_text("from the secrets\n")
    (secrets / "order_minutes").write_text("20")
    empty.setenv("TILLBOOK_SECRETS_DIR", str(secrets))
    empty.setenv("TILLBOOK_ORDER_MINUTES", "30")
    settings = Settings()
    assert (settings.env, settings.order_minutes, settings.grace_seconds) == ("test", 30, 100)
    assert settings.provider_accounts["box"]["secret"].strip() == "from the secrets"
    assert settings.provider_accounts["box"]["plugin"] == "sandbox"
    empty.setenv("TILLBOOK_PROVIDER_ACCOUNTS__BOX__SECRET", "from the environment")
    assert Settings().provider_accounts["box"]["secret"] == "from the environment"
    rules = rules_of(settings)
    assert (rules.policy.late, rules.policy.surplus) == (Late.PARK, Surplus.HOLD)
    assert (rules.ask.grace_seconds, rules.order_minutes) == (100, 30)


def test_a_named_file_or_folder_must_be_there(empty: pytest.MonkeyPatch) -> None:
    empty.setenv("TILLBOOK_CONFIG", "/nowhere/tillbook.toml")
    with pytest.raises(FileNotFoundError, match="TILLBOOK_CONFIG"):
        Settings()
    empty.delenv("TILLBOOK_CONFIG")
    empty.setenv("TILLBOOK_SECRETS_DIR", "/nowhere/secrets")
    with pytest.raises(Exception, match="/nowhere/secrets"):
        Settings(env="test")


@pytest.mark.parametrize(
    "values",
    [
        {"order_minuts": 5},
        {"order_minutes": 0},
        {"order_minutes": 60 * 24 + 1},
        {"grace_seconds": 59},
        {"late_payment": "keep it"},
        {"surplus_payment": ""},
        {"trusted_proxies": -1},
        {"env": "prod"},
        {"api_keys": {"Backend": {"sha256": "0" * 64, "scopes": []}}},
        {"api_keys": {"backend": {"sha256": "0" * 63, "scopes": []}}},
        {"api_keys": {"backend": {"sha256": "0" * 64, "scopes": ["everything"]}}},
        {"api_keys": {"backend": {"sha256": "0" * 64, "scopes": [], "more": 1}}},
    ],
)
def test_a_wrong_setting_is_refused_by_name(values: dict[str, Any]) -> None:
    assert next(iter(values)) in faults(**{"env": "test", **values})


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"secret": "short"},
        {"secret": "x" * 31},
        {"secret": SECRET, "public_key": "pem"},
        {"secret": SECRET, "jwks_url": "https://keys"},
        {"public_key": "pem"},
        {"algorithm": "RS256", "secret": SECRET},
        {"algorithm": "ES256"},
        {"algorithm": "none", "secret": SECRET},
        {"algorithm": "HS384", "secret": SECRET},
        {"secret": SECRET, "algorithms": ["HS256", "RS256"]},
    ],
)
def test_users_tokens_need_exactly_one_key_that_fits_and_is_long_enough(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        UserJwt.model_validate(values)
    assert UserJwt(secret=SecretStr(SECRET)).algorithm == "HS256"


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    settings = Settings(env="test", user_jwt=UserJwt(secret=SecretStr(SECRET)))
    assert SECRET not in repr(settings)
    (tmp_path / "tillbook.toml").write_text(f'env = "test"\n[user_jwt]\nsecret = "{SECRET}"\nalgorithm = "RS256"\n')
    with pytest.raises(ValidationError) as refused:
        Settings()
    # Whoever prints it leaves out the input, as the command line does.
    assert SECRET not in str(refused.value.errors(include_input=False, include_url=False))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"plugin": "paypol"}, "no plugin 'paypol' is installed"),
        ({}, "plugin"),
        ({"plugin": "sandbox", "live": False}, "base_url"),
        (
            {"plugin": "sandbox", "live": False, "base_url": "http://x", "merchant": "m", "secret": "short-secret"},
            "secret: ",
        ),
        ({"plugin": "sandbox", "base_url": "http://x", "merchant": "m", "secret": "s" * 40}, "live = false"),
    ],
)
def test_a_provider_account_that_cannot_work_is_named_with_the_field(
    tmp_path: Path, table: dict[str, Any], words: str
) -> None:
    settings = Settings(env="test", database_url=f"sqlite:///{tmp_path}/x.sqlite3", provider_accounts={"box": table})
    with pytest.raises(Misconfigured, match=words) as refused:
        build_house(settings)
    assert "'box'" in str(refused.value)
    assert "short-secret" not in str(refused.value)


def test_a_relative_sqlite_file_is_put_under_the_working_directory(tmp_path: Path) -> None:
    url = database_url(Settings(env="test", database_url="sqlite:///var/books.sqlite3"))
    assert url.database == str(tmp_path / "var" / "books.sqlite3")
    assert (tmp_path / "var").is_dir()
