"""One office for the tests of a module that change nothing others look at."""

from collections.abc import Iterator

import pytest

from security.office import Office, quick_hashes


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with quick_hashes():
        yield Office(tmp_path_factory.mktemp("office"))
