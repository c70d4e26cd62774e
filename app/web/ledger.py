"""Wallets: what a user has, how it came about, and spending it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from apiflask import APIBlueprint

from app.domain.ledger import BalanceOverflow, InvalidTransfer, KeyConflict, NoSuchEntry, Refused, wallet
from app.domain.numbers import slot_of_user
from app.domain.spending import Spend
from app.services import ledger
from app.services.base.errors import Invalid, KeyReused, NotFound, Problem
from app.services.base.transaction import Connected
from app.services.ledger import debts
from app.web import schemas
from app.web.access import caller, needs
from app.web.orders import core

blueprint = APIBlueprint("ledger", __name__, url_prefix="/v1", tag="Wallets")

T = TypeVar("T")


class TooMuch(Problem):
    code, status, title = "balance_overflow", 409, "The balance would pass 2^63 - 1."


class SpendRefused(Problem):
    """A definite no, remembered under the key. The `code` is the ledger's."""

    status, title = 409, "The wallet does not allow that. A new Idempotency-Key asks anew."

    def __init__(self, refused: Refused) -> None:
        super().__init__("", **dict[str, Any](refused.details))
        self.code = refused.code


@blueprint.get("/wallet")
@needs("read")
@blueprint.input(schemas.UserQuery, location="query", arg_name="query")
@blueprint.output(schemas.WalletOut)
def show_wallet(query: schemas.UserQuery) -> Any:
    """Every balance of the user, by asset and environment, and what the user owes."""
    user_id = caller().user(query.user)
    slot, now = slot_of_user(user_id), core().clock.now()
    return {
        "user": user_id,
        "balances": core().read(lambda session: ledger.balances(session, slot, user_id, at=now)),
        "debts": core().read(lambda session: debts.owed(session, slot, user_id)),
    }


@blueprint.get("/statement")
@needs("read")
@blueprint.input(schemas.StatementQuery, location="query", arg_name="query")
@blueprint.output(schemas.StatementOut)
def show_statement(query: schemas.StatementQuery) -> Any:
    """The postings of one wallet in the order of their versions, which have no gaps."""
    user_id = caller().user(query.user)
    account = wallet(user_id, query.asset, query.environment)
    page = core().read(
        lambda session: ledger.statement(
            session,
            slot_of_user(user_id),
            account,
            cursor=query.cursor,
            limit=query.limit,
            newest_first=query.order == "newest_first",
        ),
    )
    return {"lines": page.lines, "next": page.cursor}


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
        actor=caller().name,
    )

    now = when_and_rules()
    return keyed_work(lambda session: ledger.spend(session, slot_of_user(user_id), request, **now))


def when_and_rules() -> dict[str, Any]:
    """What every service of the ledger wants to know besides: the time, and the rules of the house."""
    return {"at": core().clock.now(), "rules": core().rules.ledger}


def keyed_work(work: Callable[[Connected], T | Refused]) -> T:
    """Run keyed ledger work. Its refusal is committed with it, and then told as a problem."""
    try:
        answer = core().transact(work)
    except KeyConflict:
        raise KeyReused from None
    except NoSuchEntry as error:
        raise NotFound(str(error)) from None
    except BalanceOverflow as error:
        raise TooMuch(str(error)) from None
    except InvalidTransfer as error:
        raise Invalid(str(error)) from None
    if isinstance(answer, Refused):
        raise SpendRefused(answer)
    return answer
