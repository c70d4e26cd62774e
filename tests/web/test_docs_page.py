"""The page at /docs/ as a browser reads it, under the policy that it is sent with: nothing of it is refused.

No browser is at hand in these tests, so the rules of Content Security Policy (level 3) that decide about such a page
are applied here: to every element, every file that it loads, and every file that these load in turn.
"""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from flask.testing import FlaskClient

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ORIGIN = "http://localhost"
PAGES = ["/docs/", "/docs/oauth2-redirect.html"]
SCRIPTS = frozenset({"text/javascript", "application/javascript"})
"""What a browser runs under `nosniff`."""


class Read(HTMLParser):
    """What a page holds that a policy decides about."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.loaded: list[tuple[str, str]] = []
        """Kind and address of each file."""
        self.styles = 0
        self.refused: list[str] = []
        """What no policy of ours allows."""
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.refused += [f"{tag} {name}" for name in given if name.startswith("on")]
        self.refused += [
            f"{tag} {value}" for value in given.values() if value.strip().lower().startswith("javascript:")
        ]
        self.refused += [tag] if tag in {"base", "form", "iframe", "object", "embed"} else []
        self.styles += tag == "style" or "style" in given
        if tag == "script":
            if "src" in given:
                self.loaded.append(("script-src", given["src"]))
            else:
                self.scripts.append("")
                self._inside = tag
        elif tag == "link":
            kind = "style-src" if "stylesheet" in given.get("rel", "") else "img-src"
            self.loaded.append((kind, given["href"]))
        elif "src" in given:
            self.loaded.append(("img-src", given["src"]))

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def policy_of(header: str) -> dict[str, list[str]]:
    parts = (part.split() for part in header.split(";"))
    return {part[0]: part[1:] for part in parts if part}


def is_loaded(policy: dict[str, list[str]], kind: str, address: str) -> bool:
    allowed = policy.get(kind, policy["default-src"])
    if address.startswith("data:"):
        return "data:" in allowed
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" == ORIGIN and "'self'" in allowed


@pytest.mark.parametrize("path", PAGES)
def test_a_browser_refuses_nothing_of_the_page(http: FlaskClient, path: str) -> None:
    with http.get(path) as answer:
        assert (answer.status_code, answer.mimetype) == (200, "text/html")
        policy, page = policy_of(answer.headers["Content-Security-Policy"]), Read(answer.text)
    assert page.refused == []
    assert page.styles == 0 or "'unsafe-inline'" in policy["style-src"]
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*"} & {*policy["script-src"]}
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts]
    assert [f"'sha256-{each}'" in policy["script-src"] for each in hashes] == [True] * len(hashes)
    assert page.loaded
    for kind, given in page.loaded:
        address = urljoin(ORIGIN + path, given)
        assert is_loaded(policy, kind, address), given
        with http.get(urlsplit(address).path) as file:
            assert file.status_code == 200, given
            if kind == "script-src":
                assert file.mimetype in SCRIPTS, given
            elif kind == "style-src":
                assert file.mimetype == "text/css", given
                for inner in re.findall(r"url\(\s*[\"']?([^\"')]+)", file.text) + re.findall("@import[^;]+", file.text):
                    assert is_loaded(policy, "img-src", urljoin(address, inner)), inner[:80]
            else:
                assert file.mimetype.startswith("image/"), given


def test_the_document_that_the_page_asks_for_is_there_and_allowed(http: FlaskClient) -> None:
    answer = http.get("/docs/")
    [given] = re.findall(r'"url": "([^"]+)"', answer.text)
    address = urljoin(f"{ORIGIN}/docs/", given)
    assert is_loaded(policy_of(answer.headers["Content-Security-Policy"]), "connect-src", address)
    assert http.get(urlsplit(address).path).get_json()["openapi"] == "3.1.0"
