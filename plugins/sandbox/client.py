"""Calls to the sandbox: signed on the way out, believed on the way back only with the provider's signature."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.providers import HttpResponse, Tools, Unknown
from plugins.sandbox.mapping import Unreadable, error_of, parsed
from plugins.sandbox.signing import ID, MERCHANT, BadSignature, Signer


@dataclass(frozen=True, slots=True)
class Answer:
    """A verified answer: the document, or the provider's error code."""

    document: Mapping[str, Any]
    error: str = ""

    def document_or_raise(self) -> Mapping[str, Any]:
        """The document of a success. Raises what the error table says for an error."""
        if self.error:
            raise error_of(self.error)
        return self.document


class Client:
    """One merchant's line to the provider."""

    def __init__(self, base_url: str, merchant: str, signer: Signer, tools: Tools) -> None:
        self._base_url, self._merchant, self._signer, self._tools = base_url, merchant, signer, tools

    def call(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> Answer:
        """One exchange. Raises Retryable if nothing was sent, and Unknown for any answer that is not to be believed."""
        body = b"" if document is None else json.dumps(document).encode()
        request_id = secrets.token_hex(16)
        now = int(self._tools.clock.now().timestamp())
        headers = self._signer.headers(f"request {method} {path}", request_id, now, body)
        headers |= {MERCHANT: self._merchant, "content-type": "application/json"}
        response = self._tools.http.request(method, self._base_url + path, headers=headers, body=body)
        return self._believed(response, request_id)

    def _believed(self, response: HttpResponse, request_id: str) -> Answer:
        """The answer, once it is proved to be the provider's and to belong to this request. First verify, then read."""
        try:
            signed = self._signer.verify(f"reply {response.status}", response.headers, response.body)
            document = parsed(response.body)
        except (BadSignature, Unreadable) as error:
            raise Unknown(f"an answer (HTTP {response.status}) that is not to be believed: {error}") from None
        if signed.id != request_id:
            raise Unknown(f"the answer to another request (its {ID} differs)")
        if response.status < 300:
            return Answer(document)
        code = document.get("error")
        return Answer(document, error=code if isinstance(code, str) and code else "INTERNAL")
