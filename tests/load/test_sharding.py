"""The prototype of sharded writers: who owns a key, and that nothing is lost or doubled between two."""

from pathlib import Path
from uuid import uuid4

from chassis.messaging.kafka import partition_of

from .sharding import PARTITIONS, Load, run_shards, shard_of


def test_a_shard_owns_whole_partitions_and_as_many_as_the_others() -> None:
    owners: dict[int, set[int]] = {}
    for _ in range(2_000):
        key = str(uuid4())
        owners.setdefault(partition_of(key, PARTITIONS), set()).add(shard_of(key, 3))
    assert sorted(owners) == list(range(PARTITIONS))
    assert all(len(shards) == 1 for shards in owners.values()), "a partition has two writing stores"
    counts = [sum(shards == {number} for shards in owners.values()) for number in range(3)]
    assert counts == [PARTITIONS // 3] * 3


def test_two_writers_store_every_command_once(tmp_path: Path) -> None:
    """`run_shards` compares what the stores hold with what was to be stored, and raises Broken."""
    found = run_shards(tmp_path / "shards", 2, Load(bulk=400, callers=300, seed=1))
    assert sorted(found) == ["bulk", "callers"]
    assert all(outcome.per_s > 0 and outcome.cpu_us > 0 for outcome in found.values())
