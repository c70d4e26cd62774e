"""The catalogue: read from a TOML file by the operator, shown to clients, copied into orders."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from sqlalchemy import select, update

from app.domain.bill_lines import BillSide
from app.domain.fulfilment import FulfilledBy
from app.domain.money import MAX_MINOR, MoneyError, parse_decimal
from app.domain.periods import parse_length
from app.models.base import AnyRow
from app.models.bills import BillReading
from app.models.catalogue import Product
from app.services.base.context import Core, Tx
from app.services.base.errors import NoPrice, UnknownProduct
from app.services.base.upsert import insert_if_new
from app.setting_faults import sentences

MOST_PRODUCTS = 10_000
MOST_GRANTS = 16
MOST_ENTITLEMENTS = 16
"""Names of what one product makes active."""
MOST_GRACE_DAYS = 30
MOST_COINS = 10**12
"""Per piece and grant: leaves room for a million pieces below 2^63."""
_p, _r = Product.__table__.c, BillReading.__table__.c

ProductSku = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
AssetName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,15}$")]
ProviderAccountName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
EntitlementName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class BadCatalogue(ValueError):
    """The file is not a valid list of products. The text says which entry and why; nothing was changed."""


class GrantEntry(BaseModel):
    """Units of an asset that one piece of the product credits."""

    model_config = ConfigDict(extra="forbid", strict=True)

    asset: AssetName = "coin"
    amount: int = Field(gt=0, le=MOST_COINS)
    bonus: bool = False
    valid_days: int | None = Field(default=None, gt=0, le=36_500)


def _exact(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError('write the price as text, like "6.00": a TOML float is not exact')
    return value


class PlanEntry(BaseModel):
    """That the product is paid for period after period."""

    model_config = ConfigDict(extra="forbid")

    period: str
    """`1 month`, `7 days`, `1 year`."""
    first_prices: dict[CurrencyCode, Annotated[str, BeforeValidator(_exact)]] = Field(default_factory=dict)
    """What the first period costs where that is less; `"0"`: nothing."""
    grace_days: int = Field(default=1, ge=0, le=MOST_GRACE_DAYS, strict=True)
    """So long after the end of what is paid it stays active while the next period is charged."""

    def row(self) -> dict[str, Any]:
        length = parse_length(self.period)
        first = {currency: parse_decimal(text, currency).minor for currency, text in self.first_prices.items()}
        return {"unit": length.unit, "count": length.count, "first_prices": first, "grace_days": self.grace_days}


class ProductEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sku: ProductSku
    title: Annotated[str, StringConstraints(min_length=1, max_length=128, strip_whitespace=True)]
    prices: dict[CurrencyCode, Annotated[str, BeforeValidator(_exact)]] = Field(default_factory=dict)
    grants: list[GrantEntry] = Field(default_factory=list, max_length=MOST_GRANTS)
    fulfilment: FulfilledBy = FulfilledBy.WALLET
    store_ids: dict[ProviderAccountName, Annotated[str, StringConstraints(min_length=1, max_length=128)]] = Field(
        default_factory=dict
    )
    active: bool = True
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    plan: PlanEntry | None = None
    entitlements: list[EntitlementName] = Field(default_factory=list, max_length=MOST_ENTITLEMENTS)

    @model_validator(mode="after")
    def _consistent(self) -> ProductEntry:
        if not self.prices and not self.store_ids:
            raise ValueError("a product needs a price or a store id")
        if not self.grants and not self.entitlements:
            raise ValueError("a product grants something, or has entitlements")
        if self.entitlements and self.plan is None:
            raise ValueError("entitlements are active for the periods of a plan: the product needs one")
        if not self.grants and self.fulfilment is FulfilledBy.EXTERNAL:
            raise ValueError("an external product needs grants: they are what the app's backend is to deliver")
        if self.starts_at and self.ends_at and self.starts_at >= self.ends_at:
            raise ValueError("starts_at must come before ends_at")
        for currency, text in self.prices.items():
            try:
                minor = parse_decimal(text, currency).minor
            except MoneyError as error:
                raise ValueError(f"price in {currency}: {error}") from None
            if not 0 < minor <= MAX_MINOR // 10_000:
                raise ValueError(f"price in {currency}: out of range")
        if self.plan is not None:
            self._check_plan(self.plan)
        return self

    def _check_plan(self, plan: PlanEntry) -> None:
        try:
            row = plan.row()
        except (MoneyError, ValueError) as error:
            raise ValueError(f"plan: {error}") from None
        for currency, minor in row["first_prices"].items():
            if currency not in self.prices:
                raise ValueError(f"plan: first price in {currency}: there is no price in it")
            if minor > parse_decimal(self.prices[currency], currency).minor:
                raise ValueError(f"plan: first price in {currency}: more than the price")

    def row(self, now: datetime) -> dict[str, Any]:
        return {
            "sku": self.sku,
            "title": self.title,
            "prices": {currency: parse_decimal(text, currency).minor for currency, text in self.prices.items()},
            "grants": [grant.model_dump() for grant in self.grants],
            "fulfilment": self.fulfilment.value,
            "store_ids": self.store_ids,
            "active": self.active,
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "plan": None if self.plan is None else self.plan.row(),
            "entitlements": self.entitlements,
            "updated_at": now,
        }


class CatalogueFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    products: list[ProductEntry] = Field(max_length=MOST_PRODUCTS)

    @model_validator(mode="after")
    def _unique(self) -> CatalogueFile:
        skus = [product.sku for product in self.products]
        twice = sorted(sku for sku, times in Counter(skus).items() if times > 1)
        if twice:
            raise ValueError(f"sku given twice: {', '.join(twice)}")
        stores = Counter(pair for product in self.products for pair in product.store_ids.items())
        shared = sorted(f"{account}:{store_id}" for (account, store_id), times in stores.items() if times > 1)
        if shared:
            raise ValueError(f"store id of two products: {', '.join(shared)}")
        return self


def parse_catalogue(text: str) -> CatalogueFile:
    """Read and check the whole file. Raises BadCatalogue naming the entry and the fault."""
    try:
        return CatalogueFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadCatalogue(f"not TOML: {error}") from None
    except ValidationError as error:
        raise BadCatalogue("; ".join(sentences(error, CatalogueFile, whole="file"))) from None


def import_products(core: Core, catalogue: CatalogueFile) -> dict[str, int]:
    """Make the catalogue what the file says, in every database: `{added, changed, unchanged, retired}`.

    Products that the file no longer names are kept, inactive: orders and store purchases of them may still come. Home
    comes last, so that no product is shown that another database does not know. A repeat does what is left.
    """
    for place in core.everywhere()[1:]:
        place.transact(partial(_import, catalogue=catalogue))
    return core.home.transact(partial(_import_at_home, catalogue=catalogue))


def _import_at_home(tx: Tx, *, catalogue: CatalogueFile) -> dict[str, int]:
    counts = _import(tx, catalogue=catalogue)
    if counts["added"] or counts["changed"]:
        # Other products of a store may be ours now: what it keeps of them is added up anew.
        tx.execute(update(BillReading).where(_r.side == BillSide.PROCEEDS).values(booked_at=None))
    return counts


def _import(tx: Tx, *, catalogue: CatalogueFile) -> dict[str, int]:
    known = {row.sku: row for row in tx.execute(select(*_p))}
    counts = {"added": 0, "changed": 0, "unchanged": 0, "retired": 0}
    for entry in catalogue.products:
        counts[_import_one(tx, entry.row(tx.now), known.pop(entry.sku, None))] += 1
    for row in known.values():
        if row.active:
            tx.execute(update(Product).where(_p.sku == row.sku).values(active=False, updated_at=tx.now))
            counts["retired"] += 1
    return counts


def _import_one(tx: Tx, row: dict[str, Any], known: AnyRow | None) -> str:
    if known is None:
        insert_if_new(tx, Product.__table__, row)
        return "added"
    same = all(getattr(known, name) == value for name, value in row.items() if name != "updated_at")
    if same:
        return "unchanged"
    tx.execute(update(Product).where(_p.sku == row["sku"]).values(**row))
    return "changed"


def products_for_sale(tx: Tx, now: datetime) -> list[AnyRow]:
    rows = tx.execute(select(*_p).where(_p.active).order_by(_p.sku)).all()
    return [row for row in rows if _in_window(row, now)]


def check_for_sale(product: Any, sku: str, now: datetime) -> None:
    """`product` is a row with `active`, `starts_at` and `ends_at`; all null where there is none. Raises
    UnknownProduct."""
    if not product.active or not _in_window(product, now):
        raise UnknownProduct(sku=sku)


def product_of_store(tx: Tx, provider_account: str, store_id: str) -> AnyRow | None:
    """The product that a store sells under this id, also when it is no longer for sale: it was bought there."""
    rows = tx.execute(select(*_p))
    return next((row for row in rows if row.store_ids.get(provider_account) == store_id), None)


def price_in(prices: Mapping[str, int], currencies: tuple[str, ...], wanted: str | None) -> tuple[int, str]:
    """(minor units, currency) in the wanted currency, or in the provider's first one that has a price."""
    usable = [currency for currency in currencies if currency in prices and wanted in (None, currency)]
    if not usable:
        raise NoPrice(currencies=list(currencies))
    return prices[usable[0]], usable[0]


def _in_window(row: Any, now: datetime) -> bool:
    return (row.starts_at is None or row.starts_at <= now) and (row.ends_at is None or now < row.ends_at)
