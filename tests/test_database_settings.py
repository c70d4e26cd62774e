"""The setting `[[databases]]`: which databases share the slots, and where their URLs come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.config import BadSettings, Settings, load
from app.domain.slot_map import map_of_one
from tests.support.clean_environment import forget_our_variables

FIRST: dict[str, str] = {"name": "first", "slots": "0-2047", "url": "sqlite:///first.sqlite3"}
SECOND: dict[str, str] = {"name": "second", "slots": "2048-4095", "url": "sqlite:///second.sqlite3"}
SECRET = "the-password-that-nobody-may-see"


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No file, no variables."""

    forget_our_variables(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def settings(*databases: dict[str, str], **others: Any) -> Settings:
    return Settings(env="test", databases=list(databases), **others)


def test_one_database_holds_all_slots() -> None:
    assert Settings(env="test").slot_map() == map_of_one()
    assert Settings(env="test", database_url="sqlite:///a").urls_of_databases() == {"first": "sqlite:///a"}


def test_several_share_them() -> None:
    found = settings(FIRST, SECOND)
    assert found.urls_of_databases() == {"first": FIRST["url"], "second": SECOND["url"]}
    assert found.slot_map().ranges("second") == [(2048, 4095)]


@pytest.mark.parametrize(
    ("databases", "others", "told"),
    [
        ([FIRST, SECOND], {"database_url": "sqlite:///a"}, "either the only database, or"),
        ([FIRST, SECOND], {"reports_database_url": "sqlite:///a"}, "write `reports_url` for each"),
        ([FIRST, {**SECOND, "slots": "2047-4095"}], {}, "databases: the slot 2047 is given to 'first' and to 'second'"),
        ([FIRST, {**SECOND, "slots": "all"}], {}, "ranges and single slots"),
        ([FIRST, {**SECOND, "name": "Second"}], {}, "pattern"),
        ([FIRST, {**SECOND, "url": FIRST["url"]}], {}, "the same `url`"),
        ([FIRST, {**SECOND, "url": f"mysql://u:{SECRET}@h/d"}], {}, "write sqlite:"),
        ([FIRST, {**SECOND, "url": f"postgresql://u:{SECRET}@h/d"}], {}, "all of them are PostgreSQL, or all are SQL"),
        ([FIRST, {"name": "second", "slots": "2048-4095"}], {}, "'second' has no `url`"),
        ([FIRST, SECOND], {"database_urls": {"second": f"sqlite:///{SECRET}"}}, "'second' has two of `url`"),
        ([FIRST, SECOND], {"database_urls": {"third": f"sqlite:///{SECRET}"}}, "database_urls.third: no database of"),
        ([FIRST, SECOND], {"database_urls": {"third": f"mysql://{SECRET}"}}, "write sqlite:"),
        ([], {"database_urls": {"first": f"sqlite:///{SECRET}"}}, "only for"),
        (
            [],
            {"reports_database_urls": {"first": f"sqlite:///{SECRET}"}},
            "with one database it is `reports_database_url`",
        ),
        ([{**FIRST, "reports_url": f"sqlite:///{SECRET}"}, SECOND], {}, "'second' has no `reports_url`"),
        (
            [{**FIRST, "reports_url": SECOND["url"]}, {**SECOND, "reports_url": "sqlite:///r"}],
            {},
            "is the `url` of one",
        ),
        ([FIRST, SECOND], {"reports_database_urls": {"third": f"sqlite:///{SECRET}"}}, "urls.third: no database of"),
        ([{**SECOND, "name": f"n{number}"} for number in range(17)], {}, "16"),
        ([{**FIRST, "path": "x"}, SECOND], {}, "path"),
    ],
)
def test_databases_that_cannot_work_together_are_refused_without_a_secret(
    databases: list[dict[str, str]], others: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError, match=told) as refused:
        settings(*databases, **others)
    assert SECRET not in str(refused.value)


def test_urls_come_from_the_folder_of_secrets_and_the_environment(empty: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tillbook.toml").write_text(
        'env = "test"\n[[databases]]\nname = "first"\nslots = "0-2047"\n'
        '[[databases]]\nname = "se-cond"\nslots = "2048-4094"\n[[databases]]\nname = "third"\nslots = "4095"\n'
    )
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "database_urls__se-cond").write_text("postgresql://from/secrets\n")
    (secrets / "database_urls__third").write_text("postgresql://overridden/\n")
    empty.setenv("TILLBOOK_SECRETS_DIR", str(secrets))
    empty.setenv("TILLBOOK_DATABASE_URLS__FIRST", "postgresql://from/environment")
    empty.setenv("TILLBOOK_DATABASE_URLS__THIRD", "postgresql://from/environment/too")
    assert load().urls_of_databases() == {
        "first": "postgresql://from/environment",
        "se-cond": "postgresql://from/secrets",
        "third": "postgresql://from/environment/too",
    }


def test_replicas_of_all_are_written_in_the_list_or_apart_or_there_is_none() -> None:
    assert settings(FIRST, SECOND).urls_of_replicas() == {}
    assert Settings(env="test", reports_database_url="sqlite:///r").urls_of_replicas() == {"first": "sqlite:///r"}
    with_one = settings(FIRST, {**SECOND, "reports_url": "sqlite:///2"}, reports_database_urls={"first": "sqlite:///1"})
    assert with_one.urls_of_replicas() == {"first": "sqlite:///1", "second": "sqlite:///2"}


def test_all_of_it_can_be_one_variable(empty: pytest.MonkeyPatch) -> None:
    empty.setenv("TILLBOOK_ENV", "test")
    empty.setenv("TILLBOOK_DATABASES", '[{"name": "only", "slots": "0-4095", "url": "sqlite:///a"}]')
    assert load().urls_of_databases() == {"only": "sqlite:///a"}


def test_a_list_has_no_parts_by_number(empty: pytest.MonkeyPatch) -> None:
    empty.setenv("TILLBOOK_DATABASES__0__URL", f"sqlite:///{SECRET}")
    with pytest.raises(BadSettings, match="TILLBOOK_DATABASES__0__URL: there is no such setting") as refused:
        load()
    assert SECRET not in str(refused.value)
