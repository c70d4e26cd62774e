"""What all tables share: the declarative base, names for constraints, and column types that mean the same on every
engine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, BigInteger, CheckConstraint, DateTime, Integer, LargeBinary, MetaData, Row, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.domain import grants
from app.domain.facts import StoredContent

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Big = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit integer; SQLite keeps any integer in 64 bits, but only `INTEGER` may be a primary key there."""

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class ToldJson(TypeDecorator[StoredContent]):
    """What a stored fact says, as JSON; a member that it does not have is None for whoever reads it."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else JSON())

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> Any:
        """A member's name in SQL is a name, and no document."""
        return JSON().coerce_compared_value(op, value)

    def process_result_value(self, value: Any, dialect: Dialect) -> StoredContent | None:
        return None if value is None else StoredContent(value)


class SoldGrants(TypeDecorator[list[dict[str, Any]]]):
    """What one piece of an order credits: a list of entries for whoever reads it, a list of short texts in the row."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else JSON())

    def process_bind_param(self, value: list[dict[str, Any]] | None, dialect: Dialect) -> list[Any] | None:
        return None if value is None else grants.shortened(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return grants.lengthened(value)


class HexBytes(TypeDecorator[str]):
    """A text of hexadecimal digits, kept as bytes. A text that somebody's hand has put there on SQLite stays one."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else bytes.fromhex(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return _in_hex


def _in_hex(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else bytes(value).hex()


class RawBytes(TypeDecorator[bytes]):
    """Bytes, also where somebody's hand has put a text in their place on SQLite: the audit has to get at that row."""

    impl = LargeBinary
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return _in_bytes


def _in_bytes(value: Any) -> bytes | None:
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else bytes(value)


AnyRow = Row[*tuple[Any, ...]]
"""One row of a result, its columns by name."""


class Moment(TypeDecorator[datetime]):
    """An aware moment in UTC. Refuses naive values; gives aware ones back, on SQLite too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return _in_utc(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """One step for each value where the driver gives moments (SQLite's gives texts): a page has hundreds."""
        reads_text = self.impl_instance.result_processor(dialect, coltype) is not None
        return super().result_processor(dialect, coltype) if reads_text else _in_utc


def _in_utc(value: datetime | None) -> datetime | None:
    if value is None:
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


db = SQLAlchemy(model_class=Base, disable_autonaming=True)


class OneOrder(GenericFunction[str]):
    """A text for ORDER BY in an order that is one in all databases, and that of Python: by code points."""

    name = identifier = "one_order"
    type = String()
    inherit_cache = True


@compiles(OneOrder, "postgresql")
def _one_order_on_postgres(element: OneOrder, compiler: SQLCompiler, **kw: Any) -> str:
    return f'{compiler.process(next(iter(element.clauses)), **kw)} COLLATE "C"'


@compiles(OneOrder, "sqlite")
def _one_order_on_sqlite(element: OneOrder, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{compiler.process(next(iter(element.clauses)), **kw)} COLLATE BINARY"


class EachPair(GenericFunction[Any]):
    """The arrays in a JSON array, a row for each, in the column `value`."""

    name = identifier = "each_pair"
    type = JSON()
    inherit_cache = True


@compiles(EachPair, "postgresql")
def _each_pair_on_postgres(element: EachPair, compiler: SQLCompiler, **kw: Any) -> str:
    # The server takes it that an array has a hundred elements, and would read whole tables to join so many. With a
    # condition that it knows nothing about it expects one.
    array = compiler.process(next(iter(element.clauses)), **kw)
    elements = f"SELECT value FROM json_array_elements({array})"  # noqa: S608 - the text of a column
    return f"LATERAL ({elements} WHERE json_typeof(value) = 'array')"


@compiles(EachPair, "sqlite")
def _each_pair_on_sqlite(element: EachPair, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_each({compiler.process(next(iter(element.clauses)), **kw)})"


def slot_matches_id() -> CheckConstraint:
    """The number and the row must agree about the slot."""
    return CheckConstraint("slot = (id & 4095)", name="slot_in_id")
