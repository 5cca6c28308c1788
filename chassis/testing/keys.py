"""A plugin of pytest: the process of tests has keys of persons of its own, which end with it."""

import pytest

from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from contracts.personal import use

OF_TESTS = KeyRing(MemoryKeys)


@pytest.fixture(autouse=True)
def keys_of_tests() -> None:
    """Whatever a test before has used."""
    use(OF_TESTS)


use(OF_TESTS)
