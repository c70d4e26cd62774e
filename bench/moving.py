"""How long the users of slots are told to come again while these are moved: `python -m bench.moving [--orders 2000]`.

Orders are made and paid through the service, in process, by users of 64 slots of one PostgreSQL database, and some of
the coins are spent. Then these slots are moved to another database on that server, as `tillbook slots move` does it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from app.composition import databases_of_maps
from app.domain.numbers import SLOTS, slot_of_user
from app.domain.slot_map import map_of
from app.services.base.slot_maps import SlotMaps, write_missing
from app.services.moves.slot_moves import FREEZE_SECONDS, USUAL_ROWS, SlotMover
from tests.conftest import create_schema
from tests.support import databases
from tests.support.flows import Installation, installation

FIRST_SLOT = 1024
ACCOUNTS = ("alipay", "wechat")
PER_USER = 10


def users_of(slots: range, count: int) -> list[str]:
    found, number = [], 0
    while len(found) < count:
        number += 1
        if slot_of_user(f"mover-{number}") in slots:
            found.append(f"mover-{number}")
    return found


def fill(place: Installation, slots: range, orders: int) -> None:
    for number, user in enumerate(users_of(slots, max(1, orders // PER_USER))):
        for turn in range(PER_USER):
            place.shop.bought(user, ACCOUNTS[(number + turn) % 2])
        place.shop.done(place.shop.spend_request(user, 10))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--orders", type=int, default=2000)
    options.add_argument("--rows-at-once", type=int, default=USUAL_ROWS)
    options.add_argument("--slots", type=int, default=64, help="so many slots have the orders")
    asked = options.parse_args()
    group = range(FIRST_SLOT, FIRST_SLOT + asked.slots)
    with ExitStack() as stack:
        urls = [stack.enter_context(databases.postgres_database()) for _ in range(2)]
        for url in urls:
            create_schema(url)
        place = stack.enter_context(installation(urls[0], Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        begun = time.monotonic()
        fill(place, group, asked.orders)
        print(f"{asked.orders} orders made in {time.monotonic() - begun:.0f} s", flush=True)
        each = [stack.enter_context(databases.engine_for(url)) for url in urls]
        engines = dict(zip(("first", "second"), each, strict=True))
        core = place.app.extensions["tillbook"]
        with engines["first"].begin() as connection:
            connection.exec_driver_sql("DELETE FROM slot_map")
        write_missing(engines, map_of([("first", [(0, SLOTS - 1)]), ("second", [])]))
        maps = SlotMaps(engines, None)
        maps.check_all()
        mover = SlotMover(replace(core, databases=databases_of_maps(maps)), maps)
        frozen: list[float] = []

        def pause(seconds: float) -> None:
            frozen.append(time.monotonic())  # the map that freezes the slots was written a moment ago
            time.sleep(seconds)

        mover = replace(mover, pause=pause)
        took = []
        for moved in mover.move(group, "second", at_once=len(group), most_rows=asked.rows_at_once):
            took.append(time.monotonic() - frozen[-1])
            print(f"{moved.rows} rows of the slots {moved.slots}: frozen for {took[-1]:.1f} s", flush=True)
        print(f"{max(took):.1f} s at the most, of which {FREEZE_SECONDS} s are waited")


if __name__ == "__main__":
    main()
