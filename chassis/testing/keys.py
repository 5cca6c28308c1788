"""A plugin of pytest: which keys of persons the process of tests has; as a rule its own, which end with it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chassis.foundation.config import Config
from chassis.persons.keys import KeyRing
from chassis.persons.opening import open_keys
from chassis.persons.stores import MemoryKeys
from contracts.personal import Keys, use

_OWN = MemoryKeys()
_held: list[Keys] = [KeyRing(lambda: _OWN)]


@contextmanager
def holding(keys: Keys) -> Iterator[None]:
    """Let tests have these keys, those of a system that runs meanwhile."""
    _held.append(keys)
    use(keys)
    try:
        yield
    finally:
        _held.remove(keys)
        use(_held[-1])


def share(config: Config) -> None:
    """Let processes with this configuration have the keys that this one has made so far."""
    _held[0].settle()
    store = open_keys(config)
    store.add(_OWN.all())
    store.close()


@pytest.fixture(autouse=True)
def keys_of_tests() -> None:
    """Whatever a test before has used."""
    use(_held[-1])


use(_held[0])
