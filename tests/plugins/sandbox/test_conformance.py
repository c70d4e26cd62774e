"""The sandbox keeps every rule of the port."""

from app.providers.testing.conformance import ProviderConformance
from tests.plugins.sandbox.agreeing_world import AgreeingWorld


class TestSandbox(ProviderConformance):
    world_class = AgreeingWorld
