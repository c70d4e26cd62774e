"""`docs/adding-a-provider.md` is true: the package on that page is built, configured and put under the kit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")
FILE = re.compile(r"^\*\*`([^`]+)`\*\*\n\n```(?:python|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^    ([a-z_]+\.py) ", re.MULTILINE)
CONFIGURED = re.compile(r"^```toml\n(\[provider_accounts.*?)^```$", re.MULTILINE | re.DOTALL)

SECRET_FILE = re.compile(r"`(provider_accounts__[a-z_-]+)`")

BUILD_FROM_CONFIGURATION = """
from app.config import Settings
from app.providers.registry import build_accounts
from app.providers.testing.doubles import tools

for account in build_accounts(Settings().provider_accounts, lambda name, live: tools()):
    print(account.name, account.plugin, account.live, account.provider.account)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The files of the page, and the metadata that installing them would leave."""
    files = dict(FILE.findall(PAGE))
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    project = tomllib.loads(files["pyproject.toml"])["project"]
    metadata = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [f"[{group}]\n{_lines(entries)}" for group, entries in project["entry-points"].items()]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    return tmp_path


def _lines(entries: dict[str, str]) -> str:
    return "".join(f"{name} = {target}\n" for name, target in entries.items())


def run(package: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{ROOT}", **environment}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=package, env=environ, capture_output=True, text=True, check=False)


def test_every_file_that_the_page_names_is_on_it() -> None:
    on_the_page = {Path(name).name for name, _ in FILE.findall(PAGE)}
    assert set(NAMED.findall(PAGE)) < on_the_page
    assert {"pyproject.toml", "test_conformance.py"} < on_the_page


def test_the_plugin_on_the_page_keeps_every_rule(package: Path) -> None:
    done = run(package, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-W", "error", "tests")
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-1_000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 45
    reasons = re.findall(r"^SKIPPED \[(\d+)\] \S+ (.+)$", done.stdout, re.MULTILINE)
    assert all("World.left_out does not say why" not in reason for _, reason in reasons)
    skipped = re.search(r"(\d+) skipped", done.stdout)
    assert skipped is not None
    assert int(skipped[1]) == sum(int(times) for times, _ in reasons)


@pytest.fixture
def configuration() -> str:
    found = CONFIGURED.search(PAGE)
    assert found is not None
    return found[1]


def test_the_configuration_on_the_page_builds_the_account(package: Path, configuration: str) -> None:
    (package / "tillbook.toml").write_text(configuration)
    done = run(package, "-c", BUILD_FROM_CONFIGURATION, TILLBOOK_ENV="test")
    assert done.stdout.split() == ["acme-eu", "acmepay", "False", "m-1042"], done.stderr[-2_000:]


def test_the_secret_may_be_in_a_file_of_its_own(package: Path, configuration: str) -> None:
    (package / "tillbook.toml").write_text(re.sub(r"^secret = .*$", "", configuration, flags=re.MULTILINE))
    without = run(package, "-c", BUILD_FROM_CONFIGURATION, TILLBOOK_ENV="test")
    assert "secret: is missing: write it" in without.stderr
    name = SECRET_FILE.search(PAGE)
    assert name is not None
    (package / "secrets").mkdir()
    (package / "secrets" / name[1]).write_text("s" * 40)
    done = run(package, "-c", BUILD_FROM_CONFIGURATION, TILLBOOK_ENV="test", TILLBOOK_SECRETS_DIR="secrets")
    assert done.stdout.split()[:2] == ["acme-eu", "acmepay"], done.stderr[-2_000:]


def test_the_page_imports_nothing_but_the_port() -> None:
    code = "\n".join(text for _, text in FILE.findall(PAGE))
    ours = set(re.findall(r"^from (app[.\w]*) import", code, re.MULTILINE))
    allowed = ("app.providers", "app.domain.money")
    assert ours
    assert all(name == "app.domain.money" or name.startswith(allowed[0]) for name in ours)
