"""The table `[gifts]`: what is not written is off or unlimited, and what cannot be meant is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.composition import rules_of
from app.config import BadSettings, load
from app.domain.gifts import GiftClawback, GiftLimit, GiftRules


def _load(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GiftRules:
    file = tmp_path / "tillbook.toml"
    file.write_text(f'env = "development"\n{text}', encoding="utf-8")
    monkeypatch.setenv("TILLBOOK_CONFIG", str(file))
    return rules_of(load()).gifts


def test_gifts_are_off_unless_switched_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _load("", tmp_path, monkeypatch) == GiftRules()
    assert not GiftRules().enabled


def test_every_setting_reaches_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
        [gifts]
        enabled = true
        by_users = true
        paid = false
        refundable = false
        clawback = "giver_only"
        limits = { coin = { gift = 100, sent_per_day = 300, received_per_day = 1000 } }
    """
    rules = _load(text, tmp_path, monkeypatch)
    limits = {"coin": GiftLimit(100, 300, 1000)}
    assert rules == GiftRules(True, True, False, False, GiftClawback.GIVER_ONLY, limits)
    assert rules.limit("gem") == GiftLimit()


def test_the_environment_may_switch_gifts_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLBOOK_GIFTS__ENABLED", "true")
    assert _load("", tmp_path, monkeypatch).enabled


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[gifts]\nenable = true", "gifts.enable"),
        ('[gifts]\nclawback = "nobody"', "gifts.clawback"),
        ("[gifts]\nlimits = { coin = { gift = -1 } }", "gifts.limits.coin.gift"),
        ("[gifts]\nlimits = { coin = { day = 1 } }", "gifts.limits.coin.day"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    text: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadSettings, match=named):
        _load(text, tmp_path, monkeypatch)
