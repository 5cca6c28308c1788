"""What a dead-letter topic says of each origin (chassis.messaging.dead_letters)."""

import pytest

from chassis.messaging.dead_letters import Letters, Origin
from chassis.messaging.provenance import DROP, OFFSET, PARTITION, PLACE, REASON, RESOLVES, TOPIC
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
