"""Rules for situations that the sandbox does not have: keys that change, proofs that are handed in, messages that only
name, a provider that is asked by its own number only. Each has a sound adapter here, and broken ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from app.providers import Forged, Intent, Message, Plugin, Received, Ref, Started
from app.providers.facts import Fact
from app.providers.testing.conformance import Rotation, Sample, World
from app.providers.testing.conformance.kit import left_out_of
from plugins.sandbox.provider import SandboxProvider
from plugins.sandbox.settings import SandboxSettings
from plugins.sandbox.signing import SIGNATURE
from tests.conformance.test_the_kit_catches import failing_rules_in, kit_for
from tests.conformance.test_the_traits import Naming, naming_world
from tests.plugins.alipay.test_conformance import AlipayWorld, CertifiedWorld
from tests.plugins.apple.world import AppleWorld
from tests.plugins.sandbox.world import SandboxWorld
from tests.plugins.wechat.worlds import (
    MigratingWorld,
    PublicKeyWorld,
    V2Md5World,
    V2RefundingWorld,
    V2World,
    V3World,
)

WORLDS = (
    SandboxWorld,
    AlipayWorld,
    CertifiedWorld,
    V3World,
    PublicKeyWorld,
    MigratingWorld,
    V2World,
    V2Md5World,
    V2RefundingWorld,
    AppleWorld,
)

# --- keys that change -----------------------------------------------------------------------------------------------


class SeveralSignatures(SandboxProvider):
    """The header may hold several signatures, by the old key and by the new one; any that fits is enough."""

    def receive(self, message: Message) -> Received:
        refusal: Forged | None = None
        for signature in self.tried(message.headers.get(SIGNATURE, "").split(", ")):
            try:
                return super().receive(replace(message, headers={**message.headers, SIGNATURE: signature}))
            except Forged as error:
                refusal = error
        raise refusal or Forged("no signature")

    def tried(self, signatures: list[str]) -> list[str]:
        return signatures


class TriesTheFirst(SeveralSignatures):
    def tried(self, signatures: list[str]) -> list[str]:
        return signatures[:1]


class TriesTheLast(SeveralSignatures):
    def tried(self, signatures: list[str]) -> list[str]:
        return signatures[-1:]


class CountsSignatures(SeveralSignatures):
    """Takes two signatures for proof enough."""

    def receive(self, message: Message) -> Received:
        signatures = message.headers.get(SIGNATURE, "").split(", ")
        if len(signatures) < 2:
            return super().receive(message)
        good = self._signer.headers(
            "notification", message.headers["sandbox-id"], int(message.headers["sandbox-timestamp"]), message.body
        )
        return super().receive(replace(message, headers={**message.headers, **good}))


class RotatingWorld(SandboxWorld):
    left_out: ClassVar[Mapping[str, str]] = {
        name: reason for name, reason in SandboxWorld.left_out.items() if name != "rotations"
    }

    def rotations(self) -> Mapping[str, Rotation]:
        paid, forged = self.samples()["paid"].message, self.forgeries()["another key"]
        good, bad = paid.headers[SIGNATURE], forged.headers[SIGNATURE]

        def signed(*signatures: str) -> Message:
            return replace(paid, headers={**paid.headers, SIGNATURE: ", ".join(signatures)})

        read, refused = (signed(good, bad), signed(bad, good)), (signed(bad, bad),)
        return {"two signatures": Rotation(read, refused, self.settings(), self.keys())}


# --- proofs that are handed in --------------------------------------------------------------------------------------


class Proving(SandboxProvider):
    """Names what a message proves by the payment in it."""

    def proof_of(self, message: Message, facts: tuple[Fact, ...]) -> str:
        return "".join(str(fact.ref.theirs) for fact in facts)

    def receive(self, message: Message) -> Received:
        read = super().receive(message)
        return replace(read, proof=self.proof_of(message, read.facts))


class HashesTheBytes(Proving):
    def proof_of(self, message: Message, facts: tuple[Fact, ...]) -> str:
        return hashlib.sha256(message.body).hexdigest()


class NamesTheMerchant(Proving):
    def proof_of(self, message: Message, facts: tuple[Fact, ...]) -> str:
        return self.account


class NamesNoProof(Proving):
    def proof_of(self, message: Message, facts: tuple[Fact, ...]) -> str:
        return ""


class ProvingWorld(SandboxWorld):
    left_out: ClassVar[Mapping[str, str]] = {
        name: reason for name, reason in SandboxWorld.left_out.items() if name != "proofs"
    }

    def proofs(self) -> tuple[tuple[Message, ...], ...]:
        content = dict(self.document().content)
        payment = dict(content["payment"])
        turned = {"payment": payment, **{name: value for name, value in content.items() if name != "payment"}}
        other = {**content, "payment": {**payment, "id": "sbx_78"}}
        return (self._signed_bare(content), self._signed_bare(turned)), (self._signed_bare(other),)


# --- asked by its own number only -----------------------------------------------------------------------------------


class AskedByItsOwnNumber(SandboxProvider):
    """Knows its own number only: the core goes on with what `start` said."""

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return super().query(replace(ref, ours=None)) if ref.theirs or ref.refund else ()

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        return super().cancel(replace(ref, ours=None)) if ref.theirs else ()


class StartsWithoutItsNumber(AskedByItsOwnNumber):
    def start(self, intent: Intent) -> Started:
        return replace(super().start(intent), facts=())


class AskedByItsNumberWorld(SandboxWorld):
    traits = replace(SandboxWorld.traits, asked_by_our_number=False)

    def unknown_ref(self) -> Ref:
        return Ref(theirs="sbx_404404")


def with_adapter(world: type[World], adapter: type[SandboxProvider]) -> type[World]:
    return type("ItsWorld", (world,), {"plugin": Plugin("sandbox", SandboxSettings, adapter)})


@pytest.mark.parametrize(
    ("world", "adapter"),
    [
        (RotatingWorld, SeveralSignatures),
        (ProvingWorld, Proving),
        (AskedByItsNumberWorld, AskedByItsOwnNumber),
    ],
)
def test_a_sound_adapter_keeps_every_rule(world: type[World], adapter: type[SandboxProvider]) -> None:
    assert failing_rules_in(with_adapter(world, adapter)) == set()


@pytest.mark.parametrize(
    ("world", "adapter", "rule"),
    [
        (RotatingWorld, TriesTheFirst, "test_a_message_in_a_change_of_keys_is_read"),
        (RotatingWorld, TriesTheLast, "test_a_message_in_a_change_of_keys_is_read"),
        (RotatingWorld, CountsSignatures, "test_a_message_in_a_change_of_keys_is_read"),
        (ProvingWorld, HashesTheBytes, "test_a_proof_is_one_in_any_format"),
        (ProvingWorld, NamesTheMerchant, "test_a_proof_is_one_in_any_format"),
        (ProvingWorld, NamesNoProof, "test_a_proof_is_one_in_any_format"),
        (AskedByItsNumberWorld, StartsWithoutItsNumber, "test_a_closed_payment_stays_closed"),
    ],
)
def test_a_broken_adapter_fails_the_rule_of_its_situation(
    world: type[World], adapter: type[SandboxProvider], rule: str
) -> None:
    assert rule in failing_rules_in(with_adapter(world, adapter))


class ForgetsRefundsToAskAbout(Naming):
    """Takes a message about a refund for one that says nothing of interest."""

    def receive(self, message: Message) -> Received:
        read = super().receive(message)
        return replace(read, asks=tuple(ref for ref in read.asks if ref.refund is None))


def test_what_a_message_names_is_asked_about() -> None:
    """Samples say which asks a message makes: one that is dropped is missed."""

    def world_of(adapter: type[Naming]) -> type[World]:
        class AskingWorld(naming_world(adapter)):  # type: ignore[misc]
            def samples(self) -> dict[str, Sample]:
                refund = Ref(ours="4503599627370001", theirs="sbx_77", refund="4503599627370002")
                samples: dict[str, Any] = dict(super().samples())
                return {**samples, "refunded": replace(samples["refunded"], asks=(refund,))}

        return AskingWorld

    assert failing_rules_in(world_of(Naming)) == set()
    assert failing_rules_in(world_of(ForgetsRefundsToAskAbout)) == {"test_a_genuine_message_says_what_happened"}


@pytest.mark.parametrize("world", WORLDS)
def test_a_rule_that_is_skipped_says_why(world: type[World]) -> None:
    for rule, reason in left_out_of(kit_for(world)).items():
        assert reason in world.left_out.values(), f"{world.__name__}: {rule} is skipped without a reason of its own"


def test_a_hook_that_is_not_there_is_shown_although_no_reason_is_given() -> None:
    class SilentWorld(SandboxWorld):
        left_out: ClassVar[Mapping[str, str]] = {}

    shown = left_out_of(kit_for(SilentWorld))
    assert "World.proofs is not there" in shown["test_a_proof_is_one_in_any_format"]
