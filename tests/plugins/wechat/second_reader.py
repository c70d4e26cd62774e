"""Another reading of a bill, written without the plugin: cells by their place in the row, exact fractions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Sheet:
    """`totals` are those that the bill names."""

    header: list[str]
    rows: list[list[str]]
    totals: dict[str, Fraction]

    def fen(self, column: str) -> list[Fraction]:
        place = self.header.index(column)
        return [Fraction(row[place]) * 100 for row in self.rows]

    def count(self, column: str, word: str) -> int:
        place = self.header.index(column)
        return sum(row[place] == word for row in self.rows)


def read_sheet(content: bytes) -> Sheet:
    lines = [line for line in content.decode("utf-8-sig").replace("\r\n", "\n").split("\n") if line.strip()]
    names, sums = lines[-2].split(","), lines[-1].lstrip("`").split(",`")
    return Sheet(
        header=lines[0].split(","),
        rows=[line.lstrip("`").split(",`") for line in lines[1:-2]],
        totals={name: Fraction(value) for name, value in zip(names, sums, strict=True)},
    )


def completed(content: bytes, sums: dict[str, str]) -> bytes:
    """An abridged bill with the totals of the rows that are left: each total is the sum of a column, or so many rows of
    a word (`column=word`), or the number of all rows (`*`), or the sum of one column over rows of another's word."""
    sheet = read_sheet(content)
    lines = content.decode("utf-8-sig").rstrip().split("\n")
    told = []
    for name in sheet.totals:
        column, _, word = sums[name].partition(" where ")
        where, _, wanted = word.partition("=")
        chosen = [row for row in sheet.rows if not where or row[sheet.header.index(where)] == wanted]
        if column == "*":
            told.append(str(len(chosen)))
        else:
            fen = sum(Fraction(row[sheet.header.index(column)]) * 100 for row in chosen)
            told.append(f"{int(fen) // 100}.{int(fen) % 100:02d}")
    return "\n".join([*lines[:-1], ",".join(f"`{value}" for value in told)]).encode()
