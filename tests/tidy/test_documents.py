"""The documents say what is there: commands, settings, alarms, rooms, counts, links.

What ADRs and the changelog say is of its day, so they are left out.
"""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from prometheus_client import Counter, Histogram
from pydantic import BaseModel

from app import metrics
from app.cli import main
from app.config import Serving, Settings
from app.providers.registry import AccountSettings

ROOT = Path(__file__).resolve().parents[2]
DOCS, PLUGINS = ROOT / "docs", ROOT / "plugins"
FOLDERS = (ROOT, DOCS, *(ROOT / name for name in ("plugins", "examples", "clients")))
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for folder in FOLDERS
    for path in sorted([*folder.glob("*.md"), *folder.glob("*/README.md")])
    if path.name != "CHANGELOG.md"
}
OPERATING = PAGES["docs/operating.md"]
GROUPS = {name for name, command in main.commands.items() if isinstance(command, click.Group)}
TOLD_OTHERWISE = {"fact", "provider_call_failed", "request"}
"""Lines whose level depends on what happened."""
LEVELS = {"warning": "warning", "error": "error", "exception": "error", "critical": "critical"}


def _code(page: str) -> Iterator[str]:
    """What stands in code: spans (two lines at the most), and the lines of blocks."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", page, re.S | re.M)
    for block in blocks:
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"^ {4}(tillbook .*)$", page, re.M)
    yield from re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", re.sub(r"^ *```.*?^ *```", "", page, flags=re.S | re.M))


def _commands(page: str) -> Iterator[list[str]]:
    """The words behind `tillbook`, also of spans that leave that word out before the name of a group."""
    for code in _code(page):
        line = " ".join(code.strip().removeprefix("$ ").split())
        words = re.split(r" (?:#|>|\|) ", line)[0].split()
        if len(words) > 1 and words[0] == "tillbook" and not words[1].endswith((":", "…")):
            yield words[1:]
        elif len(words) > 1 and words[0] in GROUPS and re.fullmatch(r"[a-z][a-z-]+", words[1]):
            yield words


def _resolved(words: list[str]) -> tuple[tuple[str, ...], str]:
    """The command that these words name, and what is wrong with them."""
    command: click.Command = main
    path: tuple[str, ...] = ()
    rest = [word.strip("[]") for word in words]
    while isinstance(command, click.Group) and rest:
        name = rest.pop(0)
        if "…" in name:
            break
        found = command.commands.get(name)
        if found is None:
            return path, f"there is no command {' '.join((*path, name))}"
        command, path = found, (*path, name)
    options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    wrong = [word for word in rest if word.startswith("--") and word.split("=")[0] not in options]
    return path, f"{' '.join(path)} has no {wrong[0]}" if wrong else ""


def test_each_command_on_a_page_exists_with_its_options() -> None:
    found = {(name, _resolved(words)[1]) for name, page in PAGES.items() for words in _commands(page)}
    assert sum(1 for name, _ in found if name.startswith("docs")) > 5
    assert {(name, fault) for name, fault in found if fault} == set()


def _leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from _leaves(one, (*path, name))
    else:
        yield path


def test_each_command_is_on_a_page() -> None:
    named = {_resolved(words)[0] for page in PAGES.values() for words in _commands(page)}
    catalogue = set(re.findall(r"^\| `([a-z-]+)` \|", PAGES["docs/finance.md"], re.M))
    missing = {path for path in _leaves(main) if path not in named}
    assert {path for path in missing if path[0] != "report" or path[1] not in catalogue} == set()


def _filled(document: Any, name: str = "") -> Any:
    """The settings, with something that is possible where a page leaves a secret out."""
    if isinstance(document, dict):
        return {key: _filled(value, key) for key, value in document.items()}
    if isinstance(document, list):
        return [_filled(value, name) for value in document]
    if isinstance(document, str) and "…" in document:
        return {"sha256": "0" * 64, "secrets": f"whsec_{'A' * 40}"}.get(name, "x" * 32)
    return document


def test_each_block_of_settings_can_be_read() -> None:
    """The members of a provider account are its plugin's: they are read by the tests of plugins."""
    read = 0
    for name, page in PAGES.items():
        for block in re.findall(r"^( *)```toml\n(.*?)^ *```", page, re.S | re.M):
            document = _filled(tomllib.loads(re.sub(f"^{block[0]}", "", block[1], flags=re.M)))
            if document.keys() & {"project", "products"}:
                continue
            if "databases" in document:
                document |= {"database_urls": {"second": "postgresql://two/tillbook"}}
            Settings(**({"env": "test"} | document))
            read += 1
        assert read or name != "docs/operating.md"
    assert read > 8


def _settings(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        parts = [field.annotation, *typing.get_args(field.annotation)]
        for part in [*parts, *(deeper for one in parts for deeper in typing.get_args(one))]:
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _settings(part)


def test_each_setting_is_on_the_page_of_operators() -> None:
    names = {*_settings(Settings), *_settings(Serving), *_settings(AccountSettings)}
    assert len(names) > 60
    assert {name for name in names if not re.search(rf"(?<![a-z]){name}\b", OPERATING, re.IGNORECASE)} == set()


@cache
def _lines_of_the_log() -> dict[str, set[str]]:
    """The levels of each event of the log that is written with its name as a text, and all texts like names."""
    found: dict[str, set[str]] = {}
    for path in [ROOT / "wsgi.py", *sorted((ROOT / "app").rglob("*.py"))]:
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r'"([a-z]+(?:_[a-z]+)*)"', text):
            found.setdefault(name, set())
        for level, name in re.findall(rf'\.({"|".join(LEVELS)})\(\s*"([a-z_]+)"', text):
            found[name].add(LEVELS[level])
    return found


def _alarms() -> dict[str, str]:
    rows = re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*)[^|]* \| (critical|error|warning|info) \|", OPERATING, re.M)
    return {name: level for names, level in rows for name in re.findall(r"`([a-z_]+)`", names)}


def test_each_alarm_on_the_page_is_in_the_code_at_its_level() -> None:
    written, alarms = _lines_of_the_log(), _alarms()
    assert len(alarms) > 40
    assert alarms.keys() - written.keys() == set()
    wrong = {name for name, level in alarms.items() if written[name] and level not in written[name] | {"info"}}
    assert wrong - TOLD_OTHERWISE == set()


def test_each_line_that_alarms_is_on_the_page() -> None:
    loud = {name for name, levels in _lines_of_the_log().items() if levels & {"error", "critical"}}
    assert len(loud) > 30
    assert loud - _alarms().keys() - TOLD_OTHERWISE == set()


def test_each_metric_is_on_the_page_with_its_labels() -> None:
    rows = dict(re.findall(r"^\| `(tillbook_\w+)`[^|]* \| ([^|]*) \|", OPERATING, re.M))
    kinds = [one for one in vars(metrics).values() if isinstance(one, Counter | Histogram)]
    names = {f"{one._name}_total" if isinstance(one, Counter) else one._name: set(one._labelnames) for one in kinds}
    assert {name: set(re.findall("`([a-z_]+)`", cell)) for name, cell in rows.items()} == names


def test_what_the_page_of_operators_starts_is_in_the_installed_package() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    started = set(re.findall(r"gunicorn -c python:([\w.]+)", OPERATING)) | set(re.findall(r" ([\w.]+):appl", OPERATING))
    started |= set(re.findall(r"python -m ([\w.]+)", OPERATING))
    assert {"wsgi", "app.serving", "plugins.alipay.simulator"} <= started
    packages, modules = build["packages"]["find"]["include"], set(build["py-modules"])
    tops = {name.partition(".")[0] for name in started} - modules
    assert {top for top in tops if not any(fnmatch(top, pattern) for pattern in packages)} == set()
    assert {name for name in started if not (ROOT / f"{name.replace('.', '/')}.py").exists()} == set()
    patterns = build["package-data"]["*"]
    files = [path for top in ("app", "plugins", "migrations") for path in (ROOT / top).rglob("*.*") if path.is_file()]
    data = {path.name for path in files if path.suffix not in (".py", ".pyc")}
    assert {name for name in data if not any(fnmatch(name, pattern) for pattern in patterns)} == set()


def test_the_changelog_names_the_newest_schema() -> None:
    newest = max(path.name[:4] for path in (ROOT / "migrations" / "versions").glob("0*.py"))
    heading = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    assert f" to {newest}: run `tillbook migrate`" in heading


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "docs/architecture.md"])
def test_each_room_of_the_services_is_on_the_map(page: str) -> None:
    rooms = {path.parent.name for path in (ROOT / "app" / "services").glob("*/__init__.py")}
    rows = [line for line in PAGES[page].splitlines() if line.startswith("| `")]
    told = {word for row in rows for word in re.findall(r"[a-z]+", row)}
    assert rooms - told - ({"base"} if page.startswith("README") else set()) == set()


def test_counts_of_flows_on_the_page_are_their_limits() -> None:
    limits = tomllib.loads((ROOT / "tests/guards/cost_limits.toml").read_text(encoding="utf-8"))["postgresql"]
    page = PAGES["docs/performance.md"]
    head = next(line for line in page.splitlines() if line.startswith("| flow |"))
    columns = [cell.strip() for cell in head.strip("|").split("|")][1:]
    for flow, counts in limits.items():
        row = f"| {flow} | " + " | ".join(str(counts[column]) for column in columns) + " |"
        assert row in page, row


def test_each_link_leads_to_a_page_and_its_section() -> None:
    faults = []
    for name, page in PAGES.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", page):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, section = target.partition("#")
            path = (ROOT / name).parent / file if file else ROOT / name
            if not path.exists():
                faults.append((name, target))
            elif section:
                heads = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
                anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
                faults += [(name, target)] if section not in anchors else []
    assert faults == []


def test_each_file_that_a_page_names_by_its_folder_exists() -> None:
    named = {
        (name, path)
        for name, page in PAGES.items()
        if name != "docs/adding-a-provider.md"  # it has a package of its own
        for path in re.findall(r"`((?:app|plugins|tests|bench|docs|examples|migrations)/[\w./-]+)`", page)
    }
    assert len(named) > 40
    assert {(name, path) for name, path in named if not (ROOT / path).exists()} == set()


def test_each_module_that_a_page_starts_is_there_with_its_options() -> None:
    started = {
        (name, module, tuple(re.findall("--[a-z-]+", rest)))
        for name, page in PAGES.items()
        for module, rest in re.findall(r"python -m ([a-z]+\.[\w.]+)([^`\n#]*)", page)
    }
    assert len(started) > 20
    for name, module, options in started:
        path = ROOT / module.replace(".", "/")
        file = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        assert file.exists(), f"{name}: there is no {module}"
        assert all(f'"{option}"' in file.read_text(encoding="utf-8") for option in options), (
            f"{name}: {module} {options}"
        )
