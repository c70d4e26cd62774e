"""The catalogue of events: complete, true to the API's own models, and the same in the documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import BaseModel, ConfigDict, TypeAdapter

from app.cli import main
from app.domain import coin_events, event_examples
from app.domain.event_types import MEANINGS, EventType
from app.services.events import catalogue
from app.web.agreement_schemas import AgreementOut, PeriodOut
from app.web.events import EventOut
from app.web.fulfilment_schemas import FulfilmentOut
from app.web.gift_schemas import GiftOut
from app.web.ledger_schemas import HoldOut
from app.web.refund_schemas import FreezeOut, RefundOut
from app.web.schemas import LineOut, OrderOut, PaymentOut

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = [("en", "events.md"), ("zh", "events.zh-CN.md")]


class WalletShown(BaseModel):
    """Whose wallet, of which asset."""

    model_config = ConfigDict(extra="forbid")

    user: str
    asset: str
    environment: str


class FactShown(BaseModel):
    """Money that matches no order here."""

    model_config = ConfigDict(extra="forbid")

    number: str
    provider_account: str
    environment: str
    provider_number: str | None
    payment: str | None
    amount_minor: int | None
    currency: str | None
    product: str | None
    at: str


class HoldShown(HoldOut):
    """A hold, without the word about the request."""

    repeated: bool = False


SHOWN: dict[str, Any] = {
    "order": OrderOut | str,
    "payment": PaymentOut,
    "fact": FactShown,
    "wallet": WalletShown,
    "line": LineOut,
    "hold": HoldShown,
    "refund": RefundOut,
    "freeze": FreezeOut,
    "user": str,
    "gift": GiftOut,
    "fulfilment": FulfilmentOut,
    "agreement": AgreementOut,
    "period": PeriodOut,
}


@pytest.mark.parametrize("kind", list(EventType))
def test_each_example_is_what_the_models_of_the_api_show(kind: EventType) -> None:
    shown = catalogue.example(kind)
    event = EventOut.model_validate(shown)
    assert event.type is kind
    assert set(MEANINGS[kind].shows) <= set(event.data)
    for name, thing in event.data.items():
        valid = TypeAdapter(SHOWN[name]).validate_python(thing)
        if isinstance(valid, BaseModel):
            assert set(thing) == set(type(valid).model_fields) - {"repeated"}


@pytest.mark.parametrize("kind", [kind for kind in EventType if "line" in MEANINGS[kind].shows])
def test_the_transfer_of_an_example_is_told_as_that_type(kind: EventType) -> None:
    assert coin_events.event_of(event_examples.transfer_of(kind)) is kind


def test_every_type_is_explained_in_both_languages() -> None:
    assert set(MEANINGS) == set(EventType) == set(catalogue.IN_CHINESE)


@pytest.mark.parametrize(("language", "page"), PAGES)
def test_the_document_holds_the_catalogue_as_it_is(language: str, page: str) -> None:
    """If this fails, put what `tillbook events catalogue` prints between the marks of the document."""
    text = (DOCS / page).read_text(encoding="utf-8")
    begin, end = text.index(catalogue.BEGIN), text.index(catalogue.END) + len(catalogue.END)
    assert text[begin:end] == catalogue.written(language), f"stale: tillbook events catalogue --language {language}"


def test_the_command_prints_the_catalogue() -> None:
    done = CliRunner().invoke(main, ["events", "catalogue", "--language", "zh"])
    assert (done.exit_code, done.output.strip()) == (0, catalogue.written("zh"))
