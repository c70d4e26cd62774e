"""Wallets: what a user has, how it came about, and spending it."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

from apiflask import APIBlueprint

from app.domain import list_tables
from app.domain.ledger import InsufficientFunds, Posted, Refused, wallet
from app.domain.numbers import slot_of_user
from app.domain.spending import HoldRequest, Spend
from app.services import ledger
from app.services.base.context import Tx, environment_of
from app.services.base.errors import remembered_refusal
from app.services.base.list_pages import ListPage, ListPlace
from app.services.ledger import Line
from app.web import schemas
from app.web.access import caller, needs
from app.web.context import core
from app.web.lists import CSV_RESPONSE, NUMBER, ListShape, list_answer

blueprint = APIBlueprint("ledger", __name__, url_prefix="/v1", tag="Wallets")
STATEMENT_LIST = ListShape("statement", "lines", (NUMBER,), list_tables.STATEMENT_COLUMNS)

T = TypeVar("T")


@blueprint.get("/wallet")
@needs("read")
@blueprint.input(schemas.UserQuery, location="query", arg_name="query")
@blueprint.output(schemas.WalletOut)
def show_wallet(query: schemas.UserQuery) -> Any:
    """Every balance of the user, by asset and environment, and what the user owes."""
    user_id = caller().user(query.user)
    found = core().of_user(user_id).alone(lambda tx: ledger.holdings(tx, slot_of_user(user_id), user_id, at=tx.now))
    return {"user": user_id, "balances": found.balances, "debts": found.debts}


@blueprint.get("/statement")
@needs("read")
@blueprint.input(schemas.StatementQuery, location="query", arg_name="query")
@blueprint.output(schemas.StatementOut)
@blueprint.doc(responses=CSV_RESPONSE)
def show_statement(query: schemas.StatementQuery) -> Any:
    """The postings of one wallet in the order of their versions, which have no gaps."""
    user_id, house = caller().user(query.user), core()
    account, with_actors = wallet(user_id, query.asset, query.environment), caller().user_id is None

    def read(place: ListPlace | None, most: int) -> ListPage[Line]:
        page = house.of_user(user_id).alone(
            partial(
                ledger.statement,
                slot=slot_of_user(user_id),
                account=account,
                cursor=place[0] if place else None,
                limit=most,
                newest_first=query.order == "newest_first",
                with_actors=with_actors,
            ),
        )
        return ListPage(page.lines, None if page.cursor is None else (page.cursor,))

    return list_answer(STATEMENT_LIST.about(*account), query, read)


@blueprint.post("/spends")
@needs("spend")
@blueprint.input(schemas.SpendIn, arg_name="body")
@blueprint.output(schemas.PostedOut, status_code=201)
def create_spend(body: schemas.SpendIn) -> Any:
    """Take coins from the user's wallet. The key stands for the answer, a refusal included."""
    user_id = caller().user(body.user)
    request = Spend(
        user_id=user_id,
        asset=body.asset,
        amount=body.amount,
        key=schemas.idempotency_key(),
        scope=f"spend:{caller().name}",
        environment=body.environment,
        reference=body.reference,
        note=body.note,
        actor=caller().actor,
    )
    return spent(slot_of_user(user_id), request)


def spent(slot: int, request: Spend) -> Posted:
    """Raises the refusal, which is committed by then."""

    def work(tx: Tx) -> Posted | Refused:
        return ledger.spend(tx, slot, request)

    return answered(core().at(slot).transact(work), request)


def answered(answer: T | Refused, request: Spend | HoldRequest | None = None) -> T:
    """The ledger's answer. Raises its refusal, which is committed by then; for a spend or a hold the refusal says where
    the user does have the coins."""
    if not isinstance(answer, Refused):
        return answer
    members: dict[str, Any] = dict(answer.details)
    if request is None or answer.code != InsufficientFunds.code:
        raise remembered_refusal(answer.code, members=members)
    elsewhere = _available_elsewhere(request)
    members["environment"] = request.environment
    if not elsewhere:
        raise remembered_refusal(answer.code, members=members)
    other = _other(request.environment)
    detail = (
        f"The wallet of the environment {request.environment!r} has too few coins, and the user's wallet of the "
        f"environment {other!r} has {elsewhere}. The request says which wallet pays: `environment`."
    )
    raise remembered_refusal(answer.code, detail, {**members, "other_environment": other, "other_available": elsewhere})


def _available_elsewhere(request: Spend | HoldRequest) -> int:
    """What the user has of that asset in the other environment: test purchases are credited to `sandbox`, and a spend
    is for `live` unless it says otherwise."""
    slot, other = slot_of_user(request.user_id), _other(request.environment)
    found = core().at(slot).alone(lambda tx: ledger.balances(tx, slot, request.user_id, at=tx.now))
    return sum(one.available for one in found if (one.asset, one.environment) == (request.asset, other))


def _other(environment: str) -> str:
    return environment_of(live=environment != environment_of(live=True))
