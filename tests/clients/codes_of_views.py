"""Writes `app/web/openapi/codes.py`: the codes that each view can refuse with, as its source says."""

from __future__ import annotations

from app import create_app
from app.config import Settings
from app.web.errors import LEDGER_CODES
from app.web.openapi.operations import Operation, operations_of
from tests.support.raised_codes import ROOT, Source

FILE = ROOT / "app" / "web" / "openapi" / "codes.py"
PUBLIC_URL = "https://pay.tillbook.invalid"
LINE = 121
"""Characters of a line, with its end."""
_TOP = '''"""The codes that each view can refuse with. Written by `make clients` from the source; not by hand."""

from __future__ import annotations

CODES: dict[str, tuple[str, ...]] = {
'''


def operations() -> list[Operation]:
    """Those of a service with no provider account: the document does not depend on the settings."""
    return operations_of(create_app(Settings(env="test", database_url="sqlite://", public_url=PUBLIC_URL)))


def codes_of_views() -> dict[str, tuple[str, ...]]:
    source, found = Source(ROOT / "app"), {}
    for operation in operations():
        functions = [operation.view_name, *_validators(operation, source)]
        codes = {LEDGER_CODES.get(code, code) for function in functions for code in source.codes(function)}
        found[operation.view_name] = tuple(sorted(codes))
    return dict(sorted(found.items()))


def _validators(operation: Operation, source: Source) -> list[str]:
    """The functions of the models that read the request."""
    models = [model for model in (operation.body, *operation.queries) if model is not None]
    classes = {f"{kind.__module__}.{kind.__name__}" for model in models for kind in model.__mro__}
    return sorted(name for name in source.functions if name.rpartition(".")[0] in classes)


def written() -> str:
    """The file as it has to be, in the layout of the formatter."""
    return _TOP + "".join(map(_entry, codes_of_views().items())) + "}\n"


def _entry(item: tuple[str, tuple[str, ...]]) -> str:
    """A view with its codes, as many on a line as find room: with one on each the file would be too long."""
    name, codes = item
    one_line = f'    "{name}": {_quoted(codes)},\n'
    if len(one_line) <= LINE:
        return one_line
    rows: list[tuple[str, ...]] = [()]
    for code in codes:
        longer = (*rows[-1], code)
        rows[-1:] = [longer] if len(_row(longer)) <= LINE else [rows[-1], (code,)]
    return f'    "{name}": (\n' + "".join(map(_row, rows)) + "    ),\n"


def _row(codes: tuple[str, ...]) -> str:
    return f"        *{_quoted(codes)},\n"


def _quoted(codes: tuple[str, ...]) -> str:
    return "(" + ", ".join(f'"{code}"' for code in codes) + ("," if len(codes) == 1 else "") + ")"
