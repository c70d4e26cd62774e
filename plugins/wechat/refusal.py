"""An error that WeChat Pay names in its answer, before the verb has decided what it means there."""

from __future__ import annotations

from collections.abc import Iterable

from app.providers import Misconfigured, ProviderError
from plugins.wechat.mapping import error_for

SHOWN_CHARACTERS = 200


class Refusal(Exception):
    """`code` is WeChat Pay's word (empty: it gave none), `where` what an operator needs to find the call again."""

    def __init__(self, code: str, where: str, message: str) -> None:
        super().__init__(f"{code or 'no code'} ({where})")
        self.code = code
        self._message = message

    def says(self, words: Iterable[str]) -> bool:
        """Whether WeChat Pay's text, for people, has one of these words in it: some codes mean nothing without it."""
        return any(word in self._message for word in words)

    def as_error(self) -> ProviderError:
        """The port's error for it. Only what concerns the configuration repeats WeChat Pay's text: others may quote a
        payer's data."""
        error = error_for(self.code)
        detail = f": {self._message[:SHOWN_CHARACTERS]}" if error is Misconfigured and self._message else ""
        return error(f"WeChat Pay refused: {self}{detail}", code=self.code)
