"""The kit's rules for agreements and charges. Its other rules are tried without a contract."""

from __future__ import annotations

from app.providers.testing.conformance.agreement_rules import AgreementRules
from app.providers.testing.conformance.charge_rules import ChargeRules
from tests.plugins.alipay.agreeing_world import AgreeingAlipayWorld


class TestAgreements(AgreementRules, ChargeRules):
    world_class = AgreeingAlipayWorld
    test_an_announcement_reaches_the_payer = None  # type: ignore[assignment]  # Alipay wants no notice
