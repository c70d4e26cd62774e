"""The kit's rules for agreements and charges, once for each generation. Its other rules are tried without templates."""

from __future__ import annotations

from app.providers.testing.conformance.agreement_rules import AgreementRules
from app.providers.testing.conformance.charge_rules import ChargeRules
from tests.plugins.wechat.agreeing_worlds import AgreeingV2World, AgreeingV3World


class TestV2(AgreementRules, ChargeRules):
    world_class = AgreeingV2World
    test_an_announcement_reaches_the_payer = None  # type: ignore[assignment]  # API v2 announces nothing


class TestV3(AgreementRules, ChargeRules):
    world_class = AgreeingV3World
