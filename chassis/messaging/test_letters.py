"""What a dead-letter topic says of each origin (chassis.messaging.dead_letters)."""

import pytest

from chassis.messaging.dead_letters import NOTHING, Letters, Origin
from chassis.messaging.progress import Aside, Progress
from chassis.messaging.provenance import CUT, DROP, OFFSET, PARTITION, PLACE, REASON, RESOLVES, TOPIC
from chassis.messaging.records import Incoming

ABOUT = {TOPIC: "orders.events", PARTITION: "0", OFFSET: "4", PLACE: "7"}
ORIGIN = Origin("orders.events:0", "7")


def told(offset: int, **more: str) -> Incoming:
    headers = ABOUT | {name.replace("_", "-"): value for name, value in more.items()}
    return Incoming("g.dlq:0", "g.dlq", offset, "k", "t", "i", offset, None, b"", headers, ())


def letter(offset: int) -> Incoming:
    return told(offset, **{REASON: "x"})


def replayed(offset: int, number: int) -> Incoming:
    return told(offset, **{RESOLVES: str(number)})


def dropped(offset: int, number: int) -> Incoming:
    return told(offset, **{RESOLVES: str(number), DROP: "1"})


@pytest.mark.parametrize("looks", [1, 2])
@pytest.mark.parametrize(
    ("records", "waits", "is_dropped"),
    [
        ([letter(0)], True, False),
        ([letter(0), replayed(1, 0)], False, False),
        ([letter(0), replayed(1, 0), letter(2)], True, False),
        ([letter(0), dropped(1, 0)], False, True),
        # two processes wrote a letter of it at once, as after the topic was lost
        ([letter(0), letter(1), replayed(2, 0)], False, False),
        ([letter(0), letter(1), dropped(2, 0)], False, True),
        ([letter(0), letter(1), replayed(2, 0), dropped(3, 1)], False, False),
        ([letter(0), letter(1), replayed(2, 0), letter(3), dropped(4, 3)], False, True),
    ],
)
def test_what_becomes_of_one_letter_becomes_of_its_record(
    records: list[Incoming], looks: int, *, waits: bool, is_dropped: bool
) -> None:
    letters = Letters()
    for _ in range(looks):
        for record in records:
            letters.observe(record)
    assert (ORIGIN in letters.waiting, ORIGIN in letters.dropped) == (waits, is_dropped)


def test_a_letter_of_a_record_that_is_gone_is_none_until_the_record_is_there_again() -> None:
    letters = Letters()
    letters.observe(told(0, **{REASON: "x", CUT: NOTHING}))
    assert (letters.known, letters.lost, letters.waiting) == (set(), {ORIGIN}, {ORIGIN: 0})
    letters.observe(letter(1))
    assert (letters.known, letters.lost, letters.waiting) == ({ORIGIN}, set(), {ORIGIN: 1})


def test_what_is_dropped_is_told_by_its_place_and_not_by_where_the_drop_stands() -> None:
    """The drop's own offset may be the position of another record that waits, which would never be applied."""
    source = ORIGIN.source
    aside = {ORIGIN: Aside("k", 4), Origin(source, "9"): Aside("another", 5)}
    progress = Progress({source: 8}, {source: 5}, aside)
    progress.accept(dropped(9, 0))
    assert dict(progress.aside.items()) == {Origin(source, "9"): Aside("another", 5)}
    assert progress.positions == {source: 7}, "whoever waits for it waits no more"
