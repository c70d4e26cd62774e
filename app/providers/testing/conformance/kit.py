"""The base class of every plugin's conformance tests."""

from __future__ import annotations

from app.providers.testing.conformance.call_rules import CallRules
from app.providers.testing.conformance.delivery_rules import DeliveryRules
from app.providers.testing.conformance.message_rules import MessageRules, OddMessageRules
from app.providers.testing.conformance.outside_rules import OutsideRules, SecretRules
from app.providers.testing.conformance.refund_rules import RefundRules
from app.providers.testing.conformance.road_rules import CancelRules, FactRules, RoadRules
from app.providers.testing.conformance.setting_rules import RefreshRules, SettingRules


class ProviderConformance(
    SettingRules,
    MessageRules,
    OddMessageRules,
    FactRules,
    RoadRules,
    CancelRules,
    RefundRules,
    DeliveryRules,
    RefreshRules,
    CallRules,
    SecretRules,
    OutsideRules,
):
    """Subclass it in the plugin's test file and set `world_class`; pytest then collects every rule that applies.

    A rule takes no fixture and may be called by hand: `TestMyProvider().test_a_forgery_is_refused()`.
    """

    def __init_subclass__(cls, **arguments: object) -> None:
        """Take out the rules that the world's traits leave without a meaning, so that none is skipped in silence."""
        super().__init_subclass__(**arguments)
        if hasattr(cls, "world_class"):
            for name in rules_of(ProviderConformance):
                applies = getattr(getattr(cls, name), "applies", None)
                if applies is not None and not applies(cls.world_class.traits):
                    setattr(cls, name, None)


def rules_of(kit: type[ProviderConformance]) -> list[str]:
    """The names of the rules that apply, in alphabetical order."""
    return [name for name in dir(kit) if name.startswith("test_") and callable(getattr(kit, name))]
