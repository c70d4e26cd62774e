"""Users who give to each other, in a world whose settings allow it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from app.domain.gifts import GiftClawback, GiftLimit, GiftRequest, GiftRules
from app.domain.ledger import ISSUANCE, Lot, Transfer, system, wallet
from app.domain.numbers import slot_of_user
from app.domain.spending import Spend
from app.models.base import AnyRow
from app.models.ledger import ACCOUNTS, LOTS
from app.services import ledger
from app.services.base.idempotency import Keyed, keyed
from app.services.gifts import journey
from app.services.ledger.reading import Balance, Line
from app.worker import Worker
from tests.support.buyer import Buyer
from tests.support.world import World

_keys = itertools.count(1)
_A, _L = ACCOUNTS.c, LOTS.c


@dataclass(frozen=True)
class LotSeen:
    """What a lot of a wallet says, and how much is left of it."""

    left: int
    bonus: bool
    expires_at: datetime | None
    payment: str
    product: str
    value_minor: int


@dataclass
class Friends:
    """A world in which users may give; `environment` is that of the sandbox provider's coins."""

    world: World
    environment: str = "sandbox"

    def give(self, giver: str, receiver: str, amount: int, *, key: str | None = None, **more: Any) -> AnyRow:
        """Give as the API does: the gift goes on as far as it can."""
        return journey.give(self.world.core, *self.request(giver, receiver, amount, key, **more))

    def request(
        self, giver: str, receiver: str, amount: int, key: str | None = None, **more: Any
    ) -> tuple[GiftRequest, Keyed]:
        wanted = GiftRequest(giver, receiver, "coin", amount, self.environment, actor="backend:test", **more)
        content = {"receiver": receiver, "amount": amount, **more}
        return wanted, keyed(f"backend:test:{giver}", key or f"gift-{next(_keys)}", "gift", content)

    def send_only(self, giver: str, receiver: str, amount: int) -> int:
        """The coins leave the giver; then the process is gone. The number of the gift."""
        from app.domain.numbers import keyed_uuid
        from app.services.gifts import giver as giving

        wanted, key = self.request(giver, receiver, amount)
        name = keyed_uuid(slot_of_user(giver), f"gift:{key.caller}", key.key)
        return self.world.core.whole.transact(lambda tx: giving.send(tx, wanted, name))

    def credit(self, user: str, amount: int, *, lot: Lot | None = None) -> None:
        """Coins as a paid order brings them in: so no seal of a caller is wanted."""
        transfer = Transfer(
            f"test {user}",
            f"k{next(_keys)}",
            system(ISSUANCE, "coin", self.environment),
            self.wallet(user),
            amount,
            "test",
            lot=lot or Lot(bonus=False),
        )
        self._transact(user, lambda tx, slot: ledger.post(tx, slot, [transfer]))

    def spend(self, user: str, amount: int) -> object:
        request = Spend(user, "coin", amount, f"s{next(_keys)}", environment=self.environment)
        return self._transact(user, lambda tx, slot: ledger.spend(tx, slot, request))

    def wallet(self, user: str) -> Any:
        return wallet(user, "coin", self.environment)

    def gift(self, number: int) -> AnyRow:
        return journey.view_gift(self.world.core, number)

    def balance(self, user: str) -> Balance:
        return self.world.core.whole.read(lambda tx: ledger.balance(tx, slot_of_user(user), self.wallet(user)))

    def coins(self, *users: str) -> list[int]:
        return [self.balance(user).balance for user in users]

    def lines(self, user: str) -> tuple[Line, ...]:
        return self.world.core.whole.read(lambda tx: ledger.statement(tx, slot_of_user(user), self.wallet(user))).lines

    def lots(self, user: str) -> list[LotSeen]:
        """The user's lots with something left, oldest first."""
        slot = slot_of_user(user)
        wanted = (
            select(_L, _A.open_lot, _A.open_left)
            .join(ACCOUNTS, (_A.slot == _L.slot) & (_A.id == _L.account_id))
            .where(_L.slot == slot, _A.user_id == user, _A.environment == self.environment)
            .order_by(_L.version)
        )
        rows = self.world.core.whole.read(lambda tx: tx.execute(wanted).all())
        seen = [
            LotSeen(
                row.open_left if row.open_lot == row.version else row.remaining,
                row.bonus,
                row.expires_at,
                row.payment,
                row.product,
                row.value_minor,
            )
            for row in rows
        ]
        return [lot for lot in seen if lot.left]

    def work(self, seconds: float = 61) -> None:
        """The worker, when what was under way has fallen due."""
        self.world.clock.advance(seconds)
        Worker(self.world.core).run_once()

    @property
    def in_transit(self) -> int:
        return self.world.money("transit", "coin")

    def assert_balanced(self) -> None:
        self.world.assert_balanced()

    def _transact(self, user: str, work: Any) -> Any:
        return self.world.core.whole.transact(lambda tx: work(tx, slot_of_user(user)))


def friends_in(world: World, **rules: Any) -> Friends:
    """The world with gifts switched on, and these other settings of gifts."""
    given = GiftRules(**{"enabled": True, **rules})
    return Friends(world.with_rules(replace(world.core.rules, gifts=given)))


def buyer_in(friends: Friends, user: str) -> Buyer:
    """A user who has paid for 60 coins and got 6 as a bonus."""
    buyer = Buyer(friends.world, user)
    buyer.pay()
    return buyer


LIMITS = {"coin": GiftLimit(gift=50, sent_per_day=80, received_per_day=60)}
POLICIES = (GiftClawback.RECEIVER_FIRST, GiftClawback.GIVER_ONLY)
