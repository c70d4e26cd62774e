"""Settings of events: types, days, and the endpoints that the settings name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app import config
from app.composition import rules_of
from app.config import BadSettings
from app.domain.endpoints import MOST_ENDPOINTS
from app.domain.event_types import ALL_TYPES, EventType
from app.domain.webhook_signatures import new_secret
from tests.support.clean_environment import forget_our_variables

SECRET = new_secret()
GOOD = {"name": "game", "url": "https://game.example/e", "secrets": [SECRET], "types": ["order.paid"]}


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    forget_our_variables(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    return tmp_path


def test_endpoints_are_read_from_the_file(folder: Path) -> None:
    (folder / "tillbook.toml").write_text(
        f"""
[events]
not_told = ["coins.spent"]
days = 7
[[events.endpoints]]
name = "game"
url = "https://game.example/e"
types = ["order.paid"]
secrets = ["{SECRET}"]
[[events.endpoints]]
name = "crm"
url = "https://crm.example/"
secrets = ["{SECRET}", "{new_secret()}"]
"""
    )
    settings = config.load()
    rules = rules_of(settings)
    assert rules.event_days == 7
    assert rules.ledger.events == ALL_TYPES - {EventType.COINS_SPENT}
    game, crm = rules.push.declared["game"], rules.push.declared["crm"]
    assert (game.url, game.types, game.secrets) == ("https://game.example/e", {EventType.ORDER_PAID}, (SECRET,))
    assert (crm.types, len(crm.secrets)) == (frozenset(), 2)
    assert SECRET not in repr(rules) + repr(settings)


def test_endpoints_are_read_from_a_file_of_the_folder_of_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "events__endpoints").write_text(json.dumps([GOOD]))
    monkeypatch.setenv("TILLBOOK_SECRETS_DIR", str(secrets))
    assert config.load().events.push().declared["game"].secrets == (SECRET,)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"url": "http://game.example/e"}, "https"),
        ({"url": "https://127.0.0.1/e"}, "not on the public internet"),
        ({"secrets": []}, "secrets"),
        ({"secrets": ["whsec_c2hvcnQ="]}, "24 to 64"),
        ({"types": ["order.payed"]}, "types"),
        ({"name": "The Game"}, "name"),
        ({"nmae": "x"}, "did you mean 'name'"),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, object], said: str
) -> None:
    monkeypatch.setenv("TILLBOOK_EVENTS__ENDPOINTS", json.dumps([{**GOOD, **changed}]))
    with pytest.raises(BadSettings) as caught:
        config.load()
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "c2hvcnQ" not in str(caught.value)


def test_two_endpoints_have_two_names_and_there_are_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLBOOK_EVENTS__ENDPOINTS", json.dumps([GOOD, GOOD]))
    with pytest.raises(BadSettings, match="two have one name"):
        config.load()
    many = [{**GOOD, "name": f"game-{number}"} for number in range(MOST_ENDPOINTS + 1)]
    monkeypatch.setenv("TILLBOOK_EVENTS__ENDPOINTS", json.dumps(many))
    with pytest.raises(BadSettings):
        config.load()


def test_a_file_of_authorities_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLBOOK_EVENTS__CA_FILE", "/nowhere/ca.pem")
    with pytest.raises(BadSettings, match="no such file"):
        config.load()


def test_private_networks_are_for_those_who_allow_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLBOOK_EVENTS__ENDPOINTS", json.dumps([{**GOOD, "url": "http://10.0.0.7:8080/e"}]))
    monkeypatch.setenv("TILLBOOK_EVENTS__ALLOW_PRIVATE_ENDPOINTS", "true")
    assert config.load().events.push().allow_private
