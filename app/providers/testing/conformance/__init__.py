"""The conformance kit. A plugin's whole test file is a `World` (the hooks) and one subclass of `ProviderConformance`:

    class MyWorld(World): ...

    class TestMyProvider(ProviderConformance):
        world_class = MyWorld

Every rule is one test method whose docstring states the rule. Rules that cannot apply, by the traits the world
declares, are not collected; a rule whose hook the world lacks is skipped, with the reason in `World.left_out`.
"""

from app.providers.testing.conformance.agreement_hooks import make_terms
from app.providers.testing.conformance.bill_hooks import BillDocument
from app.providers.testing.conformance.kit import ProviderConformance
from app.providers.testing.conformance.world import (
    BodyPart,
    DisputeStep,
    Document,
    HeaderPart,
    Rotation,
    Sample,
    SignaturePart,
    Traits,
    World,
    make_intent,
)

__all__ = [
    "BillDocument",
    "BodyPart",
    "DisputeStep",
    "Document",
    "HeaderPart",
    "ProviderConformance",
    "Rotation",
    "Sample",
    "SignaturePart",
    "Traits",
    "World",
    "make_intent",
    "make_terms",
]
