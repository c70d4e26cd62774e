"""The App Store plugin keeps every rule of the port."""

from app.providers.testing.conformance import ProviderConformance
from tests.plugins.apple.world import AppleWorld


class TestApple(ProviderConformance):
    world_class = AppleWorld
