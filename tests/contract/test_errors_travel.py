"""Every error of ours comes whole out of another process, where `pickle` takes it apart and puts it together again."""

import importlib
import inspect
import pickle
import pkgutil
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

import chassis
import contracts
import deploy
import services
from chassis.foundation.rate_limits import Quota
from chassis.store.events import Unreadable
from contracts.errors import Portable, Refused
from contracts.reasons import Why


def modules(package: ModuleType) -> list[ModuleType]:
    names = [one.name for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return [importlib.import_module(name) for name in names if ".test_" not in name and not name.endswith("__main__")]


ERRORS = {
    f"{cls.__module__}.{cls.__qualname__}": cls
    for package in (contracts, chassis, services, deploy)
    for module in modules(package)
    for cls in vars(module).values()
    if isinstance(cls, type) and issubclass(cls, BaseException) and cls.__module__ == module.__name__
}
OURS = ("contracts", "chassis", "services", "deploy")
WITH_INIT = {
    name: cls
    for name, cls in ERRORS.items()
    if any("__init__" in vars(base) for base in cls.__mro__ if base.__module__.partition(".")[0] in OURS)
}
VALUES: dict[str, Any] = {
    "message": "It is taken.",
    "reason": "records.taken",
    "params": {"what": Why("access.login"), "holder": UUID(int=7)},
    "field": "name",
    "state": "HELD",
    "fields": {"name": [Why("customers.required")]},
    "for_good": True,
    "aggregate_id": UUID(int=7),
    "version": 3,
    "cause": ValueError("no JSON"),
    "quota": Quota("address", 10, 1, 0, 1),
}
"""What the errors of ours are made of; one that takes something new needs a value here."""


def made(cls: type[BaseException]) -> BaseException:
    if f"{cls.__module__}.{cls.__qualname__}" not in WITH_INIT:
        return cls("what has happened", 7)
    taken = inspect.signature(cls).parameters.values()
    more = [VALUES[one.name] for one in taken if one.kind is one.VAR_KEYWORD]
    return cls(**{one.name: VALUES[one.name] for one in taken if one.kind is not one.VAR_KEYWORD}, **(more or [{}])[0])


def test_there_are_such_errors() -> None:
    assert {Refused, Unreadable} <= set(WITH_INIT.values()) and len(ERRORS) > 20
    assert all(issubclass(cls, Portable) for cls in WITH_INIT.values())


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_comes_whole_out_of_another_process(name: str) -> None:
    error = made(ERRORS[name])
    error.add_note("while it was verified")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and again.args == error.args
    assert repr(vars(again)) == repr(vars(error))
