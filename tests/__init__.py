"""The tests. Private keys are parsed once from here on, before any module is imported that reads keys."""

from tests.support import remembered_keys

remembered_keys.remember()
