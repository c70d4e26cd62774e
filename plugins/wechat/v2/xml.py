"""The XML of API v2: one root, flat elements of text. Written so that hostile XML costs as little as any garbage.

No document type, so no entities; no attributes, no nesting, nothing twice: a second element of the same name would let
two readers disagree on what was signed. Blanks inside values are kept, since they are signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.parsers import expat

from plugins.wechat.documents import Unreadable

# A real notification has about 1 to 3 kB. Expat reads all attributes of an element before it lets us refuse them, so
# the length is what bounds the cost of hostile XML: half a millisecond at this one (measured 2026-11).
MAX_BYTES = 12 * 1024
MAX_ELEMENTS = 200


class _Flat:
    """Collects the elements, and stops the parser at the first thing that is not of this format."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._path: list[str] = []
        self._text: list[str] = []
        self.fields: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if attributes or (not self._path and name != self._root) or len(self._path) > 1:
            raise Unreadable("not flat XML under the expected root")
        if self._path and (name in self.fields or len(self.fields) >= MAX_ELEMENTS):
            raise Unreadable("an element is there twice, or there are too many")
        self._path.append(name)
        self._text.clear()

    def data(self, text: str) -> None:
        if len(self._path) == 2:
            self._text.append(text)
        elif text.strip():
            raise Unreadable("text outside the elements")

    def end(self, _: str) -> None:
        name = self._path.pop()
        if self._path:
            self.fields[name] = "".join(self._text)

    def refuse(self, *_: object) -> None:
        raise Unreadable("XML with a document type or an instruction")


def parse_xml(body: bytes, root: str = "xml") -> dict[str, str]:
    """The elements under the root by name. Raises Unreadable."""
    if len(body) > MAX_BYTES:
        raise Unreadable("XML that is too long")
    flat = _Flat(root)
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = flat.start
    parser.EndElementHandler = flat.end
    parser.CharacterDataHandler = flat.data
    parser.StartDoctypeDeclHandler = flat.refuse
    parser.ProcessingInstructionHandler = flat.refuse
    try:
        body.decode()  # a byte order mark would make expat read UTF-16
        parser.Parse(body, True)
    except (UnicodeDecodeError, expat.ExpatError):
        raise Unreadable("not XML in UTF-8") from None
    return flat.fields


def write_xml(fields: Mapping[str, str], root: str = "xml") -> bytes:
    """The elements as CDATA; a `]]>` inside a value is split, which wechatpy's writer (1.8.18) forgets."""
    cells = (
        f"<{name}><![CDATA[{value.replace(']]>', ']]]]><![CDATA[>')}]]></{name}>" for name, value in fields.items()
    )
    return f"<{root}>{''.join(cells)}</{root}>".encode()
