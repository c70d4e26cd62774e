"""Answers are written by their models."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from apiflask.schema_adapters.pydantic import PydanticAdapter
from pydantic import ValidationError

from app.web.model_json import ModelAdapter
from app.web.schemas import DebtOut, LineOut, StatementOut
from tests.support.web_client import ApiClient

LINE: dict[str, Any] = {
    "version": 2**53 + 1,
    "transfer": "00000000-0000-8000-8000-000000000001",
    "amount": -5,
    "balance": 0,
    "kind": "spend",
    "reference": "金币 ☃",
    "note": 'a "quoted" line\nand another',
    "other": "revenue",
    "actor": "shop",
    "at": datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
}


@pytest.mark.parametrize("content", [{"lines": [LINE], "next": None}, {"lines": [], "next": "abc"}])
def test_an_answer_says_what_the_framework_would_write(content: dict[str, Any]) -> None:
    written = ModelAdapter(StatementOut).serialize_output(content)
    assert json.loads(written) == PydanticAdapter(StatementOut).serialize_output(content)


def test_a_model_that_is_checked_already_is_written_as_it_is() -> None:
    line = LineOut.model_validate(LINE)
    assert json.loads(ModelAdapter(LineOut).serialize_output(line)) == line.model_dump(mode="json")


def test_what_does_not_fit_its_model_is_not_sent() -> None:
    with pytest.raises(ValidationError):
        ModelAdapter(DebtOut).serialize_output({"asset": "coin", "environment": "moon", "amount": 1})


def test_an_answer_is_json_in_utf_8(backend: ApiClient) -> None:
    body = {"user": "alice", "asset": "coin", "amount": 5, "reason": "金币"}
    backend.post("/v1/grants", body)
    answer = backend.get("/v1/statement", user="alice")
    assert answer.content_type == "application/json"
    assert json.loads(answer.data.decode("utf-8")) == answer.get_json()
    assert answer.get_json()["lines"], answer.text


@pytest.mark.parametrize("host", ["pay.game.dev", "x" * 70 + ".dev", "a b", "évil", ""])
def test_neither_route_nor_answer_depends_on_the_host_that_a_request_names(alice: ApiClient, host: str) -> None:
    for path, status in {"/v1/wallet": 200, "//v1/wallet": 404, "/v1/wallet/": 404, "/v1/%E9": 404}.items():
        answer = alice.client.get(path, headers=alice.headers, environ_overrides={"HTTP_HOST": host})
        assert answer.status_code == status, path
        assert "Location" not in answer.headers
        assert not host or host not in answer.text
