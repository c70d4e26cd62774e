"""An operator at the console, as a browser without scripts: it follows redirects, keeps cookies, sends forms."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import argon2
import pyotp
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.services.accounts.operators import CodeSecrets, Credentials, add_operator
from app.services.base.context import Core

SECRET = "the tests' secret for the sessions of operators"
KEYS = CodeSecrets([SECRET])
CHEAP = argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST)
"""A hash says itself what it costs to check: the console checks this one as it checks any other."""


def make_operator(core: Core, name: str = "mei", *roles: str) -> Credentials:
    wanted = frozenset(roles or ("support", "finance"))
    return core.home.transact(lambda tx: add_operator(tx, name, wanted, "operator:tests", KEYS, CHEAP))


def code_of(told: Credentials, core: Core, *, steps: int = 0) -> str:
    """What the authenticator shows now, or some steps of 30 seconds from now."""
    codes = pyotp.parse_uri(told.address)
    assert isinstance(codes, pyotp.TOTP)
    return codes.generate_otp(codes.timecode(core.clock.now()) + steps)


class Browser:
    def __init__(self, client: FlaskClient, language: str = "en") -> None:
        self.client = client
        self.headers = {"Accept-Language": language}

    def get(self, path: str, **query: Any) -> Page:
        return Page(self.client.get(path, query_string=query or None, headers=self.headers, follow_redirects=True))

    def send(self, path: str, **fields: str) -> Page:
        """A form of the page at this address, its token included."""
        token = self.get("/console/").token or self.get("/console/sign-in").token
        given = {"csrf_token": token, **fields}
        return Page(self.client.post(path, data=given, headers=self.headers, follow_redirects=True))

    def sign_in(self, told: Credentials, core: Core, name: str = "mei", **changes: Any) -> Page:
        fields = {"name": name, "password": told.password, "code": code_of(told, core), **changes}
        return self.send("/console/sign-in", **fields)


class Page:
    def __init__(self, answer: TestResponse) -> None:
        self.answer, self.status, self.html = answer, answer.status_code, answer.get_data(as_text=True)
        self.path = answer.request.path
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.html)
        self.token = unescape(found[1]) if found else ""

    @property
    def text(self) -> str:
        """What a reader sees, in one line."""
        reader = _Reader()
        reader.feed(self.html)
        return " ".join(" ".join(reader.words).split())

    @property
    def links(self) -> dict[str, str]:
        """Where the words of the links lead to."""
        found = re.findall(r'<a [^>]*href="([^"]*)"[^>]*>([^<]*)</a>', self.html)
        return {unescape(words): unescape(address) for address, words in found}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)
