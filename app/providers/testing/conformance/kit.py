"""The base class of every plugin's conformance tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.providers.testing.conformance.agreement_rules import AgreementRules
from app.providers.testing.conformance.bill_rules import BillRules
from app.providers.testing.conformance.call_rules import CallRules
from app.providers.testing.conformance.charge_rules import ChargeRules
from app.providers.testing.conformance.delivery_rules import DeliveryRules
from app.providers.testing.conformance.message_rules import MessageRules, OddMessageRules
from app.providers.testing.conformance.outside_rules import OutsideRules, SecretRules
from app.providers.testing.conformance.refund_rules import RefundRules
from app.providers.testing.conformance.road_rules import CancelRules, FactRules, RoadRules
from app.providers.testing.conformance.setting_rules import RefreshRules, SettingRules
from app.providers.testing.conformance.situation_rules import DisputeRules, SituationRules
from app.providers.testing.conformance.time_rules import TimeRules
from app.providers.testing.conformance.world import World


class ProviderConformance(
    SettingRules,
    MessageRules,
    OddMessageRules,
    FactRules,
    RoadRules,
    CancelRules,
    RefundRules,
    DisputeRules,
    SituationRules,
    TimeRules,
    DeliveryRules,
    BillRules,
    AgreementRules,
    ChargeRules,
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
            for name in names_of_rules(ProviderConformance):
                applies = getattr(getattr(cls, name), "applies", None)
                if applies is not None and not applies(cls.world_class.traits):
                    setattr(cls, name, None)
                elif missing := _missing_hook(cls.world_class, getattr(cls, name)):
                    setattr(cls, name, _skipped(cls.world_class, getattr(cls, name), missing))


def names_of_rules(kit: type[ProviderConformance]) -> list[str]:
    """The names of the rules that apply and are not skipped, in alphabetical order."""
    rules = {name: getattr(kit, name) for name in dir(kit) if name.startswith("test_")}
    return [name for name, rule in rules.items() if callable(rule) and not hasattr(rule, "left_out")]


def left_out_of(kit: type[ProviderConformance]) -> dict[str, str]:
    """The rules that are skipped, by name, each with its reason."""
    rules = {name: getattr(kit, name) for name in dir(kit) if name.startswith("test_")}
    return {name: rule.left_out for name, rule in rules.items() if hasattr(rule, "left_out")}


def _missing_hook(world: type[World], rule: Callable[..., None]) -> str:
    """The hook that the rule needs and the world does not have; empty if there is none."""
    hook: str = getattr(rule, "needs", "")
    return hook if hook and getattr(world, hook) is getattr(World, hook) else ""


def _skipped(world: type[World], rule: Callable[..., None], hook: str) -> Callable[..., None]:
    """What pytest collects instead of a rule whose hook is not there: it shows the reason."""
    reason = world.left_out.get(hook) or f"World.{hook} is not there and World.left_out does not say why: not checked"

    @pytest.mark.skip(reason=f"{hook}: {reason}")
    def skipped(self: ProviderConformance) -> None:
        """Never called by pytest."""

    skipped.__name__, skipped.__doc__ = rule.__name__, rule.__doc__
    skipped.__dict__["left_out"] = reason
    return skipped
