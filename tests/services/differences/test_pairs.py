"""Amount and time match nothing by themselves: a person says that two differences are one, and may take it back."""

from __future__ import annotations

from functools import partial

import pytest

from app.models.base import AnyRow
from app.services.differences.difference_rows import NotDone, changes_of, resolve_difference
from app.services.differences.pairs import match_differences, proposed_others, reopen_difference
from app.services.differences.write_offs import confirm_write_off, propose_write_off
from tests.support.settling_house import DAY, NOON, SettlingHouse, alien_line, line_of, settling_house
from tests.support.world import World

NOBODYS, ANOTHER = "1234567890123456789", "1234567890123456788"
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> SettlingHouse:
    return settling_house(world)


def by_type(house: SettlingHouse, kind: str) -> AnyRow:
    [row] = [row for row in house.listed() if row.type == kind]
    return row


def two_sides(house: SettlingHouse, name: str = "2026-01-02", minor: int = 600) -> tuple[AnyRow, AnyRow]:
    """A payment of ours without a line, and a line of the same sum under a number that nobody knows."""
    house.paid("a")
    house.bring(name, [alien_line("T-other", NOBODYS, minor=minor)])
    house.world.clock.advance(30 * 86_400)
    house.compare()
    return by_type(house, "ours_not_theirs"), by_type(house, "theirs_not_ours")


def matched(house: SettlingHouse, one: AnyRow, other: AnyRow) -> list[str]:
    return [row.state for row in match_differences(house.world.core, one.id, other.id, "one payment", actor="wang")]


def whats(house: SettlingHouse, row: AnyRow) -> list[str]:
    return [change.what for change in house.world.core.whole.read(partial(changes_of, row=row))]


def test_two_that_a_person_matches_end_together_and_stay_ended_until_a_bill_tells_one_otherwise(
    house: SettlingHouse,
) -> None:
    ours, theirs = two_sides(house)
    for row, other in ((ours, theirs), (theirs, ours)):
        assert [one.id for one in house.world.core.whole.read(partial(proposed_others, row=row))] == [other.id]
    assert matched(house, ours, theirs) == ["matched", "matched"]
    assert matched(house, theirs, ours) == ["matched", "matched"]
    assert whats(house, ours) == ["opened", "matched"]
    done = house.compare()
    assert (done.kept.reopened, done.kept.gone, house.listed()) == (0, 0, [])
    assert house.again(ours).matched_with == theirs.id
    house.bring("2026-01-02", [alien_line("T-other", NOBODYS, minor=700)])
    assert house.compare().kept.reopened == 1
    assert {(row.state, row.matched_with) for row in house.listed("all")} == {("open", None)}
    assert whats(house, ours) == ["opened", "matched", "match_ended"]
    assert by_type(house, "theirs_not_ours").theirs_minor == 700


def test_if_one_side_is_gone_the_other_waits_again_and_both_may_be_gone(house: SettlingHouse) -> None:
    ours, theirs = two_sides(house)
    matched(house, ours, theirs)
    house.bring("2026-01-02", [])
    house.compare()
    assert (house.again(ours).state, house.again(theirs).state) == ("open", "gone")
    house.bring("2026-01-02", [alien_line("T-other", NOBODYS), alien_line("T-third", "till-1")])
    house.compare()
    matched(house, ours, theirs)
    house.bring("2026-01-02", [line_of(house.paid("b", at=NOON + 4 * DAY))])
    number = house.again(ours).ours
    house.bring("2026-01-02", [alien_line(house.again(ours).theirs, number)])
    house.compare()
    assert (house.again(ours).state, house.again(theirs).state) == ("gone", "gone")


@ONE_DATABASE
def test_what_cannot_be_one_is_refused(house: SettlingHouse) -> None:
    ours, theirs = two_sides(house)
    house.bring("another sum", [alien_line("T-sum", ANOTHER, minor=601)])
    house.bring("far away", [alien_line("T-far", ANOTHER, at=NOON + 4 * DAY)], NOON + 3 * DAY + DAY / 2)
    house.bring("alien", [alien_line("T-shop", "shop-1")])
    house.compare(days=6)
    rows = {row.theirs: row for row in house.listed()}
    core = house.world.core
    for other, why in {"T-sum": "amount", "T-far": "days apart", "T-shop": "no two sides"}.items():
        with pytest.raises(NotDone, match=why):
            matched(house, ours, rows[other])
    with pytest.raises(NotDone, match="no other side of itself"):
        matched(house, ours, ours)
    with pytest.raises(NotDone, match="no two sides"):
        matched(house, theirs, rows["T-far"])
    with pytest.raises(NotDone, match="needs a reason"):
        match_differences(core, ours.id, theirs.id, " ", actor="wang")
    propose_write_off(core, theirs.id, "small", actor="wang")
    confirm_write_off(core, theirs.id, actor="li")
    with pytest.raises(NotDone, match="written_off"):
        matched(house, ours, theirs)
    assert house.world.core.whole.read(partial(proposed_others, row=ours)) == []
    assert house.again(ours).state == "open"


@ONE_DATABASE
def test_a_match_is_taken_back_for_both_and_one_that_is_matched_takes_no_third(house: SettlingHouse) -> None:
    ours, theirs = two_sides(house)
    house.bring("more", [alien_line("T-third", ANOTHER)])
    house.compare()
    [third] = [row for row in house.listed() if row.theirs == "T-third"]
    matched(house, ours, theirs)
    with pytest.raises(NotDone, match="is matched"):
        matched(house, ours, third)
    back = reopen_difference(house.world.core, theirs.id, "it was another one", actor="li")
    assert (back.state, house.again(ours).state) == ("open", "open")
    assert reopen_difference(house.world.core, theirs.id, "twice", actor="li").state == "open"
    assert matched(house, third, ours) == ["matched", "matched"]
    assert house.again(theirs).state == "open"


@ONE_DATABASE
def test_one_line_that_is_not_ours_ends_by_a_persons_word_until_the_line_changes(house: SettlingHouse) -> None:
    house.bring("2026-01-02", [alien_line("T-1", "shop-1"), alien_line("T-2", "shop-2")])
    house.compare()
    first, second = sorted(house.listed(), key=lambda row: str(row.theirs))
    resolve_difference(house.world.core, first.id, "the till downstairs", actor="mei")
    assert house.compare().kept.reopened == 0
    assert [row.id for row in house.listed()] == [second.id]
    reopen_difference(house.world.core, first.id, "there is no till", actor="li")
    assert house.again(first).state == "open"
    resolve_difference(house.world.core, first.id, "the till downstairs", actor="mei")
    house.bring("2026-01-02", [alien_line("T-1", "shop-1", minor=500), alien_line("T-2", "shop-2")])
    assert house.compare().kept.reopened == 1
    assert house.again(first).theirs_minor == 500
