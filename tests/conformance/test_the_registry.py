"""Installed plugins are found by name, and a broken one says what is wrong with it, to the account that wanted it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.providers import Misconfigured
from app.providers.registry import build_accounts, installed_plugin
from app.providers.testing.doubles import tools

SANDBOX = {"plugin": "sandbox", "live": False, "base_url": "http://x", "merchant": "m", "secret": "s" * 40}
SOUND = "from plugins.sandbox import plugin as sandbox\nfrom app.providers import Plugin\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages, besides those of this environment."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(site: Path, package: str, code: str, *offers: str) -> None:
    """A package of one module, offering plugins: `name = package:object`."""
    (site / f"{package}.py").write_text(code)
    metadata = site / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[tillbook.providers]\n" + "\n".join(offers) + "\n")


def test_a_third_partys_plugin_is_found_by_the_name_of_its_entry_point(site: Path) -> None:
    code = f"{SOUND}plugin = Plugin('novel', sandbox.settings, sandbox.build)"
    install(site, "novel_package", code, "novel = novel_package:plugin")
    accounts = build_accounts({"shop": {**SANDBOX, "plugin": "novel"}}, lambda name, live: tools())
    assert [(account.name, account.plugin) for account in accounts] == [("shop", "novel")]


def test_a_broken_plugin_that_no_account_uses_stops_nobody(site: Path) -> None:
    install(site, "broken_idle", "import there_is_no_such_module", "idle = broken_idle:plugin")
    accounts = build_accounts({"shop": SANDBOX}, lambda name, live: tools())
    assert [account.name for account in accounts] == ["shop"]


def test_a_plugin_that_cannot_be_imported_is_named_with_the_reason_and_the_account(site: Path) -> None:
    install(site, "broken_used", "import there_is_no_such_module", "used = broken_used:plugin")
    with pytest.raises(Misconfigured, match=r"'shop'.*'used' \(broken_used:plugin\).*there_is_no_such_module"):
        build_accounts({"shop": {"plugin": "used"}}, lambda name, live: tools())


def test_an_entry_point_that_names_no_plugin_is_refused(site: Path) -> None:
    install(site, "wrong_object", "plugin = object()", "wrong = wrong_object:plugin")
    with pytest.raises(Misconfigured, match=r"is not an app\.providers\.Plugin"):
        installed_plugin("wrong")


def test_a_plugin_that_calls_itself_otherwise_is_refused(site: Path) -> None:
    install(site, "misnamed_package", f"{SOUND}plugin = sandbox", "misnamed = misnamed_package:plugin")
    with pytest.raises(Misconfigured, match="calls itself 'sandbox'"):
        installed_plugin("misnamed")


def test_two_packages_that_offer_one_name_are_both_named(site: Path) -> None:
    install(site, "one_package", "plugin = None", "twice = one_package:plugin")
    install(site, "other_package", "plugin = None", "twice = other_package:plugin")
    with pytest.raises(Misconfigured, match="more than once: one_package:plugin, other_package:plugin"):
        installed_plugin("twice")


def test_a_name_that_nobody_offers_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(Misconfigured, match=r"no plugin 'nobody' is installed \(there are: .*sandbox"):
        installed_plugin("nobody")
