"""What the shop of the simulated quarter sells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pack:
    sku: str
    fen: int
    coins: int
    bonus: int = 0
    """Bonus coins, which are used first."""
    days: int = 0
    """So long its paid coins are good; 0: for ever."""
    cents: int = 0
    """Its price in US dollars; 0: it has none."""

    @property
    def store_id(self) -> str:
        return f"quarter.{self.sku.replace('-', '')}"


PACKS = (
    Pack("pack-60", 599, 60),
    Pack("pack-7", 99, 7, cents=19),
    Pack("pack-325", 3_259, 325, bonus=25, cents=499),
    Pack("event-98", 997, 98, days=3),
)
"""Prices that do not divide by their coins are among them."""


def catalogue_text() -> str:
    return "\n".join(map(_product, PACKS))


def _prices(pack: Pack) -> Iterator[str]:
    for currency, minor in (("CNY", pack.fen), ("USD", pack.cents)):
        if minor:
            yield f'{currency} = "{minor // 100}.{minor % 100:02d}"'


def _product(pack: Pack) -> str:
    lines = [
        "[[products]]",
        f'sku = "{pack.sku}"',
        f'title = "{pack.coins} coins"',
        f"prices = {{ {', '.join(_prices(pack))} }}",
        f'store_ids = {{ apple = "{pack.store_id}" }}',
        *("[[products.grants]]", 'asset = "coin"', f"amount = {pack.coins}"),
    ]
    if pack.days:
        lines.append(f"valid_days = {pack.days}")
    if pack.bonus:
        lines += ["[[products.grants]]", 'asset = "coin"', f"amount = {pack.bonus}", "bonus = true"]
    return "\n".join(lines)
