"""What a browser must not do with an answer."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.web_client import ApiClient


@pytest.mark.parametrize(
    "path", ["/v1/products", "/v1/nothing", "/openapi.json", "/health/live", "/metrics", "/webhooks/sandbox", "/docs/"]
)
def test_every_answer_may_be_neither_sniffed_nor_framed_nor_told_onward(http: FlaskClient, path: str) -> None:
    answer = http.get(path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_no_answer_of_the_api_is_kept_by_anybody(http: FlaskClient, alice: ApiClient) -> None:
    answers = [
        alice.get("/v1/wallet"),
        alice.get("/v1/orders/1"),
        http.get("/v1/wallet"),
        http.post("/webhooks/sandbox"),
    ]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}


def test_an_answer_that_is_no_page_may_load_nothing(alice: ApiClient) -> None:
    policy = alice.get("/v1/wallet").headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; frame-ancestors 'none'"


def _page(http: FlaskClient) -> TestResponse:
    answer = http.get("/docs/")
    assert answer.status_code == 200
    return answer


def test_the_page_of_the_api_runs_its_own_scripts_and_no_other(http: FlaskClient) -> None:
    answer = _page(http)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    inline = re.findall(rb"<script>(.*?)</script>", answer.data, re.DOTALL)
    assert inline, "the page starts the viewer with a script of its own"
    allowed = [f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in inline]
    assert policy["script-src"].split() == ["'self'", *allowed]
    assert (policy["connect-src"], policy["base-uri"], policy["form-action"]) == ("'self'", "'none'", "'none'")


def test_the_files_of_that_page_are_where_its_policy_allows_them(http: FlaskClient) -> None:
    files = re.findall(rb'(?:src|href)="([^"]+)"', _page(http).data)
    assert len(files) > 3
    for file in files:
        path = file.decode()
        assert "//" not in path, "nothing comes from another host"
        with http.get(path) as answer:
            assert answer.status_code == 200, path
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
