"""The sandbox keeps every rule of the port."""

from app.providers.testing.conformance import ProviderConformance
from tests.plugins.sandbox.world import SandboxWorld


class TestSandbox(ProviderConformance):
    world_class = SandboxWorld
