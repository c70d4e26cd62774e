"""An invented provider, complete and small: the plugin to copy when adding a real one, and the one to play with.

It moves no money. Its provider is `simulator`, started with `python -m plugins.sandbox.simulator`.
"""

from app.providers import Plugin
from plugins.sandbox.agreements import build
from plugins.sandbox.settings import SandboxSettings

plugin = Plugin(name="sandbox", settings=SandboxSettings, build=build)

__all__ = ["plugin"]
