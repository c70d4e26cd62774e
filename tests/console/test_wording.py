"""Every text of the pages has its Chinese, and the catalogue has nothing else."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

from app.console import cells, finance_pages, support_pages, user_lists, waiting
from app.console.wording import catalogue
from app.domain.remedies import REMEDIES
from app.services.lookup.entries import PARTS, SENTENCES
from app.services.reports.catalogue import REPORTS
from app.web.errors import ERRORS
from tests.support.console_browser import Browser
from tests.support.world import World

CONSOLE = Path(cells.__file__).parent
MET = (
    *("method_not_allowed", "too_large", "invalid_request", "not_a_cursor", "no_such_day", "report_bounds"),
    *("empty_time_span", "time_span_too_long", "days_not_worked_out", "reports_unavailable"),
    *("unknown_provider_account", "internal_error", "checkpoints_behind"),
)
"""Codes of the problems that a reader of the console can meet by their titles."""


def _said_in_templates() -> Iterator[str]:
    for file in CONSOLE.rglob("*.html"):
        yield from re.findall(r"say\('([^']+)'\)", file.read_text(encoding="utf-8"))


def _said_in_code() -> Iterator[str]:
    """Plain texts given to `say`, titles of tables and of pages."""
    for file in CONSOLE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            told = node.args[:1] if name in ("say", "table_of", "ShownList") else []
            told += [each.value for each in node.keywords if name == "render_template" and each.arg == "title"]
            yield from (each.value for each in told if isinstance(each, ast.Constant) and isinstance(each.value, str))


def _columns() -> Iterator[str]:
    for module in (support_pages, finance_pages, waiting):
        for name, value in vars(module).items():
            if re.fullmatch(r"_[A-Z]+", name) and isinstance(value, tuple):
                yield from value
    for listed in (*user_lists.USER_LISTS.values(), *user_lists.WALLET_LISTS.values()):
        yield from listed.columns
    for file in CONSOLE.glob("*.py"):  # tables with columns of their own
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "table_of" and len(node.args) > 1:
                yield from (each.value for each in getattr(node.args[1], "elts", []) if isinstance(each, ast.Constant))


def _labels() -> Iterator[str]:
    for column in _columns():
        yield cells.LABELS.get(column, column.replace("_", " ").capitalize())


def spoken() -> set[str]:
    titles = [ERRORS[code][1] for code in MET if code in ERRORS]
    return {*_said_in_templates(), *_said_in_code(), *_labels(), *SENTENCES.values(), *PARTS.values(), *titles} | {
        *REMEDIES.values(),
        *(kind.about for kind in REPORTS.values()),
    }


def test_every_text_has_its_chinese_and_nothing_else_has() -> None:
    assert set(catalogue()) == spoken()
    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in catalogue().values())


def test_a_translation_has_the_places_of_its_text() -> None:
    assert {text for text, chinese in catalogue().items() if _places(chinese) != _places(text)} == set()


def _places(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_the_pages_speak_as_the_browser_asks_until_somebody_chooses(world: World, mei: Browser) -> None:
    mei.headers["Accept-Language"] = "zh-CN,zh;q=0.9,en;q=0.5"
    assert "没有待处理的事项" in mei.get("/console/").text
    mei.send("/console/language/en")
    assert "Nothing waits." in mei.get("/console/").text
    mei.send("/console/sign-out")
    assert "Sign in" in mei.get("/console/").text
