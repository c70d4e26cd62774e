"""The sandbox's provider, room by room; `plugins.sandbox.simulator` is the door."""
