"""Genuine notices, signed by Alipay itself and published by it, and what becomes of them on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from app.domain.money import Money
from app.providers import Forged, Kind, Message, Received, key_of
from plugins.alipay.provider import AlipayProvider
from tests.plugins.alipay import samples

PUBLISHED = json.loads((samples.FOLDER / "published" / "sdk_node_payment_notices.json").read_text())
BODIES: list[str] = PUBLISHED["bodies"]
Form = list[tuple[str, str]]


def provider(**changes: str) -> AlipayProvider:
    names = ("app_id", "seller_id", "alipay_public_key")
    return samples.provider(**{name: PUBLISHED[name] for name in names} | changes)


def receive(body: str, to: AlipayProvider | None = None) -> Received:
    return (to or provider()).receive(Message("notification", body.encode()))


def form(body: str) -> Form:
    return parse_qsl(body, keep_blank_values=True, strict_parsing=True)


def without_plus(content: Form) -> str:
    return urlencode(content, quote_via=quote, safe="")


REWRITTEN: dict[str, Callable[[Form], str]] = {
    "another order": lambda content: urlencode(list(reversed(content))),
    "blanks as %20": without_plus,
    "hexadecimal in lower case": lambda content: urlencode(content).replace("%2B", "%2b").replace("%3D", "%3d"),
    "next to nothing encoded": lambda content: urlencode(content, safe="/:*[]{}@,"),
    "an empty field added": lambda content: urlencode([*content, ("body", "")]),
}


@pytest.mark.parametrize("body", BODIES, ids=["first", "second"])
def test_a_genuine_notice_is_a_payment(body: str) -> None:
    fields = dict(form(body))
    received = receive(body)
    (fact,) = received.facts
    assert (fact.kind, fact.money) == (Kind.PAID, Money(10, "CNY"))
    assert key_of(fact) == f"paid:{fields['trade_no']}"
    assert (fact.ref.ours, fact.account) == (fields["out_trade_no"], provider().account)
    assert received.message_id == fields["notify_id"]
    assert received.reply.body == b"success"


def test_its_times_are_beijing_times() -> None:
    received = receive(BODIES[0])
    assert received.facts[0].at == datetime(2019, 8, 15, 7, 37, 58, tzinfo=UTC)
    assert received.signed_at == datetime(2019, 8, 15, 7, 37, 59, tzinfo=UTC)


@pytest.mark.parametrize("rewrite", REWRITTEN.values(), ids=REWRITTEN)
def test_what_a_form_may_go_through_on_its_way_does_no_harm(rewrite: Callable[[Form], str]) -> None:
    assert receive(rewrite(form(BODIES[0]))).facts[0].ref == receive(BODIES[0]).facts[0].ref


@pytest.mark.parametrize("name", [name for name, _ in form(BODIES[0]) if name != "sign_type"])
def test_no_field_of_it_can_be_changed_or_left_out(name: str) -> None:
    content = form(BODIES[0])
    changed = [(each, f"{value}1" if each == name else value) for each, value in content]
    shortened = [(each, value) for each, value in content if each != name]
    for spoilt in (changed, shortened):
        with pytest.raises(Forged):
            receive(urlencode(spoilt))


def test_nothing_can_be_added_to_it_and_nothing_exchanged_between_two() -> None:
    first, second = dict(form(BODIES[0])), dict(form(BODIES[1]))
    for spoilt in (first | {"refund_fee": "0.10"}, first | {"sign": second["sign"]}, first | {"sign_type": "RSA"}):
        with pytest.raises(Forged):
            receive(urlencode(spoilt))


def test_it_is_nobody_elses() -> None:
    """The core refuses money of another account; another key does not verify it at all."""
    other = provider(seller_id="2088000000000001")
    assert receive(BODIES[0], other).facts[0].account != other.account
    with pytest.raises(Forged):
        receive(BODIES[0], samples.provider())
