"""The tables of the plain handler, and what the benchmark puts into them beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

PRODUCTS = {"pack-60": (600, 66), "pack-300": (3000, 330)}
"""Price in fen, and coins."""


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[str] = mapped_column(primary_key=True)
    store_token: Mapped[str] = mapped_column(index=True)


class Wallet(Base):
    __tablename__ = "wallets"
    user_id: Mapped[str] = mapped_column(primary_key=True)
    balance: Mapped[int] = mapped_column(BigInteger)


class Payment(Base):
    __tablename__ = "payments"
    number: Mapped[str] = mapped_column(primary_key=True)
    order_number: Mapped[str] = mapped_column(index=True)
    user_id: Mapped[str] = mapped_column(index=True)
    product: Mapped[str]
    amount_fen: Mapped[int]
    coins: Mapped[int]
    status: Mapped[str]
    provider_ref: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class LedgerRow(Base):
    __tablename__ = "ledger"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    amount: Mapped[int] = mapped_column(BigInteger)
    balance: Mapped[int] = mapped_column(BigInteger)
    reference: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Seed:
    """Writes rows as the application would have left them."""

    def __init__(self, database_url: str) -> None:
        self._engine = create_engine(database_url)
        Base.metadata.create_all(self._engine)

    def users(self, tokens: Mapping[str, str]) -> None:
        with Session(self._engine) as session:
            session.add_all(User(id=user, store_token=token) for user, token in tokens.items())
            session.add_all(Wallet(user_id=user, balance=0) for user in tokens)
            session.commit()

    def payments(self, payments: Iterable[Payment]) -> None:
        with Session(self._engine) as session:
            session.add_all(payments)
            session.commit()

    def coins(self, users: Iterable[str]) -> int:
        """In the wallets of all of them together."""
        total = select(func.sum(Wallet.balance)).where(Wallet.user_id.in_(list(users)))
        with Session(self._engine) as session:
            return int(session.scalars(total).one())

    def close(self) -> None:
        self._engine.dispose()


def open_payment(order: Mapping[str, Any], user: str) -> Payment:
    """The plain application's row for an order that Tillbook made: the same notification then pays both."""
    product = order["product"]
    fen, coins = PRODUCTS[product]
    return Payment(
        number=order["payments"][0]["number"],
        order_number=order["number"],
        user_id=user,
        product=product,
        amount_fen=fen,
        coins=coins,
        status="open",
        created_at=datetime.now(UTC),
    )
