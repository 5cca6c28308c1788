"""Ids of records."""

from uuid import UUID, uuid4, uuid5

from contracts.ids import beside, new_id


def test_new_ids_grow() -> None:
    made = [new_id() for _ in range(1_000)]
    assert made == sorted(made)
    assert {id.version for id in made} == {7}


def test_what_belongs_to_a_record_lies_beside_it() -> None:
    record, named = new_id(), uuid5(UUID(int=1), "stock")
    found = beside(record, named)
    assert found.int >> 80 == record.int >> 80
    assert (found.version, found.variant) == (8, named.variant)
    assert found == beside(record, named)
    assert found != beside(record, uuid5(UUID(int=1), "deduction"))


def test_beside_a_random_id_a_named_one_stays_as_it_is() -> None:
    named = uuid5(UUID(int=1), "stock")
    assert beside(uuid4(), named) == named
