"""The table `[console]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import BadSettings, load
from app.console_settings import ConsoleSettings

LONG = "a secret that is long enough for sessions"


def _load(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConsoleSettings:
    file = tmp_path / "tillbook.toml"
    file.write_text(f'env = "development"\n{text}', encoding="utf-8")
    monkeypatch.setenv("TILLBOOK_CONFIG", str(file))
    return load().console


def test_there_is_no_console_unless_it_has_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _load("", tmp_path, monkeypatch).secrets == ()
    text = f'[console]\nsecret_key = "{LONG}"\nformer_secret_keys = ["{LONG} before"]'
    assert _load(text, tmp_path, monkeypatch).secrets == (LONG, f"{LONG} before")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('secret_key = "short"', "a secret key is shorter than 32 characters"),
        (f'secret_key = "{LONG}"\nformer_secret_keys = ["short"]', "a secret key is shorter than 32 characters"),
        (f'former_secret_keys = ["{LONG}"]', "former_secret_keys: only beside a secret_key"),
        (f'secret_key = "{LONG}"\nidle_minutes = 0', "too small"),
        (f'secret_key = "{LONG}"\nsession_hours = 25', "too large"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSettings, match=why):
        _load(f"[console]\n{text}", tmp_path, monkeypatch)


def test_each_table_can_be_given_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TILLBOOK_ENV", "development")
    monkeypatch.setenv("TILLBOOK_CONSOLE__SECRET_KEY", LONG)
    monkeypatch.setenv("TILLBOOK_AGREEMENTS__CHARGE_HOUR", "7")
    found = load()
    assert (found.console.secrets, found.agreements.charge_hour) == ((LONG,), 7)
