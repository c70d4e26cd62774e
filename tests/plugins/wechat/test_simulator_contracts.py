"""The simulated WeChat Pay's contracts over HTTP: the page for signing and the control interface."""

from __future__ import annotations

from typing import Any

import pytest

from app.providers import Declined, Ending, Kind, Ref, Refusal
from tests.plugins.wechat.agreement_worlds import NUMBER, OURS, V2DebitWorld, V3DebitWorld, terms_for
from tests.plugins.wechat.worlds import API_URL

Debits = V2DebitWorld | V3DebitWorld


def post(world: Debits, name: str, **body: Any) -> Any:
    answer = world._app.test_client().post(f"/_control/{name}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


@pytest.mark.parametrize("world_class", [V2DebitWorld, V3DebitWorld])
@pytest.mark.parametrize("way", ["jsapi", "h5"])
def test_a_payer_signs_on_the_page_that_the_action_leads_to(world_class: type[Debits], way: str) -> None:
    world = world_class()
    url = str(world.provider.sign(terms_for(world.clock, way)).action["url"])
    browser = world._app.test_client()
    assert "agree" in browser.get(url.removeprefix(API_URL)).text
    assert "Signed: Wx" in browser.post(url.removeprefix(API_URL)).text
    assert [fact.kind for fact in world.facts()] == [Kind.SIGNED]


@pytest.mark.parametrize("world_class", [V2DebitWorld, V3DebitWorld])
def test_the_control_interface_signs_refuses_deducts_and_ends(world_class: type[Debits]) -> None:
    world = world_class()
    signed = post(world, "sign", action=dict(world.provider.sign(terms_for(world.clock, "miniprogram")).action))
    assert (signed["contract_code"], signed["plan_id"], signed["ended"]) == (OURS, "12536", None)
    post(world, "refusals", codes=["NOTENOUGH"])
    with pytest.raises(Declined) as refusal:
        world.charge("100001")
    assert refusal.value.refusal is Refusal.NO_MONEY
    world.charge()
    assert post(world, "deduct", number=NUMBER, err_code="RULELIMIT")["state"] == "PAYERROR"
    world.charge("100002")
    assert post(world, "deduct", number="100002")["state"] == "SUCCESS"
    assert [fact.kind for fact in world.facts()] == [Kind.SIGNED, Kind.FAILED, Kind.PAID]
    post(world, "validity", contract=OURS, until=world.clock.now().isoformat())
    assert world.provider.query(Ref(our_agreement=OURS))[0].ending is Ending.TIME
    other = terms_for(world.clock, ref=Ref(our_agreement="2"))
    post(world, "sign", action=dict(world.provider.sign(other).action))
    assert post(world, "end-contract", contract="2")["ended"]
    assert len(world._app.test_client().get("/_control/state").get_json()["contracts"]) == 2
