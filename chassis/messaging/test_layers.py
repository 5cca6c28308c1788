"""Branches of mappings and queues behave as copies do, and cost nothing."""

from collections import defaultdict
from random import Random
from typing import Any

import pytest

from chassis.messaging.dead_letters import Origin
from chassis.messaging.layers import Layered, Queues
from chassis.messaging.progress import Aside, Progress

MANY = 200_000


@pytest.mark.parametrize("seed", range(200))
def test_a_branch_is_a_copy_whatever_is_settled_and_given_up(seed: int) -> None:
    random = Random(seed)
    plain: dict[int, int] = {number: number for number in range(5)}
    kept: Layered[int, int] = Layered(plain)
    for _ in range(20):
        branch, copy = kept.branch(), dict(plain)
        for _ in range(random.randrange(6)):
            key = random.randrange(8)
            if random.random() < 0.5:
                branch[key] = copy[key] = random.randrange(100)
            else:
                assert branch.pop(key, None) == copy.pop(key, None)
        assert (dict(branch), len(branch)) == (copy, len(copy))
        assert (dict(kept), len(kept)) == (plain, len(plain))
        assert all((key in branch, branch.get(key)) == (key in copy, copy.get(key)) for key in range(8))
        if random.random() < 0.6:
            if random.random() < 0.8:
                branch.settle()
                assert not branch.changes
            kept, plain = branch, copy
    with pytest.raises(KeyError):
        del kept[99]


@pytest.mark.parametrize("seed", range(200))
def test_the_first_of_a_queue_is_the_smallest_that_still_waits(seed: int) -> None:
    random = Random(seed)
    plain: dict[str, set[int]] = defaultdict(set)
    kept: Queues[str] = Queues(())
    for number in range(60):
        branch, copy = kept.branch(), defaultdict(set, {key: set(found) for key, found in plain.items()})
        key = random.choice("ab")
        branch.add(key, number)
        copy[key].add(number)
        while (other := random.choice("ab")) and copy[other] and random.random() < 0.4:
            gone = random.choice(sorted(copy[other]))
            branch.remove(other, gone)
            copy[other].remove(gone)
        for name in "abc":
            assert branch.first(name) == min(copy[name], default=None)
            assert kept.first(name) == min(plain[name], default=None)
        if random.random() < 0.7:
            if random.random() < 0.8:
                branch.settle()
            kept, plain = branch, copy


def test_a_branch_of_a_progress_with_very_many_set_aside_holds_only_what_it_changes() -> None:
    origins = [Origin("orders.events:0", str(number)) for number in range(MANY)]
    aside = {origin: Aside(f"key {number % 7}", number) for number, origin in enumerate(origins)}
    progress = Progress({}, {}, aside, [Origin("orders.events:1", str(number)) for number in range(MANY)])
    branch = progress.branch()
    for part in (branch.aside, branch.dropped):
        assert len(part) == MANY
        assert not part.changes
    shared: Any = (branch.aside._base, branch.dropped._base, branch._waiting._base)
    own: Any = (progress.aside._base, progress.dropped._base, progress._waiting._base)
    assert all(one is other for one, other in zip(shared, own, strict=True)), "nothing is copied"
