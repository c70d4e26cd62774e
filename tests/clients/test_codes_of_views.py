"""The reading of the source that says which codes a view can refuse with, tried on a small service."""

from __future__ import annotations

import pytest

from tests.support.raised_codes import Source

ERRORS = """
class DomainError(Exception):
    code = "domain_error"

class NotFound(DomainError):
    code = "not_found"

class Closed(DomainError):
    code = "closed"

class Shut(Closed):
    pass

class Gone(DomainError):
    code = Closed.code

class Late(DomainError):
    code = "late"
"""
LEDGER = """
class LedgerError(ValueError):
    code = "ledger_error"

class Refused:
    def __init__(self, id, code): ...

def post():
    return Refused(1, "no_funds")
"""
USE_CASES = """
from app.services.base import errors
from app.services.base.errors import Closed, DomainError, Gone, Late, NotFound, Shut

SHOWN = {"late": Late}

class Order:
    def close(self):
        raise Closed

    @property
    def number(self):
        raise Late

class Shop:
    order: Order

class Other:
    def close(self):
        raise NotFound

def find():
    raise errors.NotFound

def caught():
    try:
        find()
    except NotFound:
        return None

def caught_as_its_kind():
    try:
        find()
        raise Late
    except DomainError:
        return None

def passed_on():
    try:
        find()
    except NotFound:
        raise

def turned():
    try:
        find()
    except NotFound:
        raise Late from None

def inherited():
    raise Shut("shut")

def borrowed():
    raise Gone

def by_annotation(shop: Shop):
    shop.order.close()

def by_property(order: Order | None):
    return order.number

def by_table(code):
    raise SHOWN.get(code, Closed)

def given():
    return run(find)

def run(work):
    return work()

def inside():
    def work():
        raise Late
    try:
        return run(work)
    except Late:
        return None

def never_called():
    def work():
        raise Late

def again():
    return again_from_there()

def again_from_there():
    again()
    raise Closed

def only_asked(error):
    return isinstance(error, NotFound)
"""
WEB = """
from app.domain.ledger import Refused, post
from app.services import cases

def answered(answer):
    return answer

def spend():
    return answered(post())

def batch():
    return post()
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    app = tmp_path_factory.mktemp("small") / "app"
    files = {"services/base/errors": ERRORS, "domain/ledger": LEDGER, "services/cases": USE_CASES, "web/ledger": WEB}
    for name, text in files.items():
        file = app / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(text, encoding="utf-8")
    return Source(app)


@pytest.mark.parametrize(
    ("function", "codes"),
    [
        ("find", {"not_found"}),
        ("caught", set()),
        ("caught_as_its_kind", set()),
        ("passed_on", {"not_found"}),
        ("turned", {"late"}),
        ("inherited", {"closed"}),
        ("borrowed", {"closed"}),
        ("by_annotation", {"closed"}),
        ("by_property", {"late"}),
        ("by_table", {"late", "closed"}),
        ("given", {"not_found"}),
        ("inside", set()),
        ("never_called", set()),
        ("again", {"closed"}),
        ("only_asked", set()),
    ],
)
def test_what_comes_out_of_a_function_is_known(source: Source, function: str, codes: set[str]) -> None:
    assert source.codes(f"app.services.cases.{function}") == codes


def test_a_refusal_of_the_ledger_is_a_code_of_the_view_that_answers_with_it(source: Source) -> None:
    assert source.codes("app.web.ledger.spend") == {"no_funds"}
    assert source.codes("app.web.ledger.batch") == set()
