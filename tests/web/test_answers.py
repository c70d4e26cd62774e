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


def test_an_address_with_two_slashes_leads_to_the_one_that_is_meant(alice: ApiClient) -> None:
    answer = alice.client.get("/v1//wallet", headers=alice.headers, base_url="https://pay.game.dev")
    assert (answer.status_code, answer.headers["Location"]) == (308, "https://pay.game.dev/v1/wallet")
