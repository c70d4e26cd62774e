"""A row that somebody made unreadable is a finding. It does not stop the audit, nor hide what else differs."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from app.domain.proof.anchors import AnchorHeader, contents, signed_lines
from app.domain.seals import Seals
from app.services.audit.anchors import anchor_lines, audit_against
from app.services.audit.ledger import AsOf
from app.services.audit.run import audit
from tests.support.database_console import edit
from tests.support.world import World

EDITS = {
    "a fact that says nothing": "UPDATE facts SET content = '{}' WHERE kind = 'paid'",
    "a fact that is a list": "UPDATE facts SET content = '[]' WHERE kind = 'paid'",
    "a fact that is a number": "UPDATE facts SET content = '7' WHERE kind = 'paid'",
    "an amount that is a word": "UPDATE facts SET content = '{\"amount_minor\": \"x\"}' WHERE kind = 'paid'",
    "an order that grants a word": "UPDATE orders SET grants = '\"x\"'",
    "an order that grants less than it must say": "UPDATE orders SET grants = '[{}]'",
    "a kind that there is not": "UPDATE facts SET kind = 'stolen' WHERE kind = 'paid'",
}


@pytest.fixture
def shop(world: World) -> World:
    world.pay(world.order("alice").payments[0].id)
    world.deliver()
    world.assert_balanced()
    return world


@pytest.mark.parametrize("statement", EDITS.values(), ids=EDITS)
def test_an_unreadable_row_is_a_finding_and_the_other_proofs_go_on(shop: World, engine: Engine, statement: str) -> None:
    sessions = shop.core.whole.sessions
    anchor = list(anchor_lines(sessions))
    edit(engine, statement, "UPDATE orders SET quantity = 9")
    found = audit(sessions, AsOf(shop.core.rules.ledger, shop.core.clock.now))
    assert any(finding.what == "seal" and "9 × coins-60" in finding.detail for finding in found)
    assert len(found) >= 2
    against = list(audit_against(sessions, contents(signed(anchor))))
    assert {finding.what for finding in against} == {"anchored_changed"}


def signed(lines: list[dict[str, object]]) -> list[bytes]:
    return list(signed_lines(AnchorHeader("", ""), lines, Seals()))
