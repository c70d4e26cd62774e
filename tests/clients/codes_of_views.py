"""Writes `app/web/openapi/codes.py`: the codes that each view can refuse with, as its source says."""

from __future__ import annotations

from app import create_app
from app.config import Settings
from app.web.errors import LEDGER_CODES
from app.web.openapi.operations import Operation, operations_of
from tests.support.raised_codes import ROOT, Source

FILE = ROOT / "app" / "web" / "openapi" / "codes.py"
PUBLIC_URL = "https://pay.tillbook.invalid"
_TOP = '''"""The codes that each view can refuse with. Written by `make clients` from the source; not by hand."""

from __future__ import annotations

CODES: dict[str, tuple[str, ...]] = {
'''


def operations() -> list[Operation]:
    """Those of a service with no provider account: the document does not depend on the settings."""
    return operations_of(create_app(Settings(env="test", database_url="sqlite://", public_url=PUBLIC_URL)))


def codes_of_views() -> dict[str, tuple[str, ...]]:
    source = Source(ROOT / "app")
    names = sorted({operation.view_name for operation in operations()})
    return {name: tuple(sorted({LEDGER_CODES.get(code, code) for code in source.codes(name)})) for name in names}


def written() -> str:
    """The file as it has to be, in the layout of the formatter."""
    return _TOP + "".join(map(_entry, codes_of_views().items())) + "}\n"


def _entry(item: tuple[str, tuple[str, ...]]) -> str:
    name, codes = item
    quoted = [f'"{code}",' for code in codes]
    if len(codes) < 2:
        return f'    "{name}": ({"".join(quoted)}),\n'
    return f'    "{name}": (\n' + "".join(f"        {each}\n" for each in quoted) + "    ),\n"
