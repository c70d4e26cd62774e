"""Who takes part: a player with the app, the app's backend, and a payer who presses buttons on a provider's page."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urljoin

import jwt
import requests

from tests.demo.house import Running
from tests.demo.patience import wait_for  # noqa: F401 - whoever plays a part waits, too

TIMEOUT = 60
_keys = itertools.count(1)
_FORM = re.compile(r"<form[^>]*method=.?post.?[^>]*>", re.IGNORECASE)
_ACTION = re.compile(r'action="([^"]*)"')


def say(text: str = "") -> None:
    print(text, flush=True)  # noqa: T201 - the transcript is what the demonstration is for


class Refused(RuntimeError):
    """The service answered with a problem document."""


class Api:
    """The HTTP API with somebody's credentials."""

    def __init__(self, url: str, credentials: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {credentials}"

    def get(self, path: str, **query: str) -> Any:
        return self._read(self._session.get(self._url + path, params=query, timeout=TIMEOUT))

    def post(self, path: str, body: Any, **query: str) -> Any:
        headers = {"Idempotency-Key": f"demo-{next(_keys)}"}
        answer = self._session.post(self._url + path, json=body, params=query, headers=headers, timeout=TIMEOUT)
        return self._read(answer)

    def _read(self, answer: requests.Response) -> Any:
        if not answer.ok:
            raise Refused(f"{answer.status_code} {answer.text}")
        return answer.json()


def player(running: Running, user: str) -> Api:
    """The app on a user's device, with the token that the app's backend gave it."""
    expires = datetime.now(UTC) + timedelta(hours=6)
    return Api(running.url, jwt.encode({"sub": user, "exp": expires}, running.jwt_secret, algorithm="HS256"))


def backend(running: Running) -> Api:
    return Api(running.url, running.backend_key)


def press_pay(cashier_url: str) -> None:
    """Open a provider's cashier page as a person does, and press the button on it until there is none left."""
    session = requests.Session()
    page = session.get(cashier_url, timeout=TIMEOUT)
    for _ in range(3):
        form = _FORM.search(page.text)
        if form is None:
            return
        target = _ACTION.search(form.group(0))
        address = urljoin(page.url, unescape(target.group(1))) if target else page.url
        page = session.post(address, timeout=TIMEOUT, allow_redirects=False)
        page.raise_for_status()
        if page.is_redirect:
            return


def tell(simulator_url: str, command: str, **document: Any) -> Any:
    """Use a simulator's control interface: what a person at the provider does. What the simulator answers."""
    answer = requests.post(f"{simulator_url}/_control/{command}", json=document, timeout=TIMEOUT)
    answer.raise_for_status()
    return answer.json()
