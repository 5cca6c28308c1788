"""Which services there are and where their declarations stand: `deploy/services.toml` and the modules it names."""

import importlib
import importlib.util
import pkgutil
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from chassis.access.known import Known
from chassis.foundation.config import ConfigError
from chassis.model.actions import Page, Pages
from chassis.model.checks import Check
from chassis.model.place_counts import counts_places
from chassis.model.record_views import pool_view, record_view
from chassis.model.saga import Saga
from chassis.model.schedule_runs import runs_once
from chassis.model.service import Replica, Service
from chassis.model.views import View
from contracts.declare import REGISTRY
from contracts.records import KINDS
from contracts.schedules import schedules_of

SERVICES_FILE = Path(__file__).parent.parent / "deploy" / "services.toml"


@dataclass(frozen=True)
class Catalogue:
    """The services of this process: name -> roles."""

    roles: dict[str, list[str]]

    @classmethod
    def read(cls, only: Collection[str] = ()) -> "Catalogue":
        """Read services.toml, all services or `only` some.  Raises ConfigError for a name it does not have."""
        REGISTRY.load()
        roles = tomllib.loads(SERVICES_FILE.read_text())["services"]
        if unknown := set(only) - set(roles):
            raise ConfigError(f"unknown service {min(unknown)}; deploy/services.toml has {', '.join(roles)}")
        return cls({name: found for name, found in roles.items() if not only or name in only})

    def with_role(self, role: str) -> list[str]:
        return [name for name, roles in self.roles.items() if role in roles]

    def services(self) -> list[Service]:
        """The services that take commands; each also knows people and their rights (ADR 0015)."""
        found: list[Service] = [
            importlib.import_module(f"services.{name}.application").SERVICE for name in self.with_role("api")
        ]
        known = known_everywhere().values()
        everywhere = [replica for one in known for replica in one.replicas]

        def of_records(service: Service) -> list[Replica[Any]]:
            kinds = [kind.code for kind in KINDS.values() if kind.service == service.name]
            return [one.of_records(kinds) for one in known if one.of_records and kinds]

        return [replace(service, replicas=[*service.replicas, *everywhere, *of_records(service)]) for service in found]

    def pages(self) -> Pages:
        """The pages of single records."""
        found = [(service.name, path, one) for service in self.services() for path, one in service.pages.items()]
        return Pages({path: Page.of(service, path, aggregate) for service, path, aggregate in found})

    def sagas(self) -> list[tuple[str, Saga[Any]]]:
        """(service, saga) of the services that run one."""
        return [(name, importlib.import_module(f"services.{name}.saga").SAGA) for name in self.with_role("saga")]

    def views(self, role: str = "queries") -> list[View]:
        """Every view: a module under `services/<name>/views/` declares one (VIEW) or several (VIEWS).

        The projector's are those made of events: all but the audit log's.
        """
        found = [view for name in self.with_role(role) for view in views_of(name)]
        return [view for view in found if role == "queries" or not view.collected]

    def audit_view(self) -> View:
        """The view of the audit log."""
        return next(view for view in self.views() if view.collected)

    @property
    def people(self) -> str:
        """The service that knows people: it notes who read what, and its `administration` makes the first of them."""
        return self.with_role("people")[0]

    def of_people(self, module: str) -> Any:
        """A module of that service, for the command line and what is for tests only."""
        return importlib.import_module(f"services.{self.people}.{module}")

    def routes(self) -> list[tuple[str, Any]]:
        """(service, route) of those that are neither commands nor views, from each `services/<name>/routes.py`."""
        return [(name, route) for name, module in self.modules("routes") for route in module.ROUTES]

    def gateway(self) -> Any:
        """The module of the service that is the one entry, if it runs in this process (ADR 0017)."""
        found = self.with_role("gateway")
        return importlib.import_module(f"services.{found[0]}.gateway") if found else None

    def checks(self) -> list[tuple[str, Check]]:
        """(service, what must hold of its facts): from each `services/<name>/verification.py`, of its schedules and of
        its pools."""
        declared = [(name, check) for name, module in self.modules("verification") for check in module.CHECKS]
        schedules = [(name, runs_once(name)) for name in self.with_role("api") if schedules_of(name)]
        return [*declared, *schedules, *((one.service, counts_places(one)) for one in KINDS.values() if one.pool)]

    def modules(self, name: str) -> Iterator[tuple[str, Any]]:
        """(service, module) of the services that have a module of this name."""
        for service in self.roles:
            module = f"services.{service}.{name}"
            if importlib.util.find_spec(module):
                yield service, importlib.import_module(module)

    def groups(self) -> list[str]:
        """Every consumer group, each of which has a dead-letter topic."""
        sagas = [saga.group for _, saga in self.sagas()]
        return [*self.with_role("api"), *sagas, *self.with_role("projector")]


def know_everything() -> None:
    """Load all declarations, so that every kind of event and aggregate is known: in a process that begins no role."""
    catalogue = Catalogue.read()
    catalogue.services(), catalogue.sagas(), catalogue.views()


def views_of(service: str) -> list[View]:
    """The views that one service declares.

    Those of the projector's are also the lists of all kinds of records, but of those for which it declares its own, and
    their pools.
    """
    package = importlib.import_module(f"services.{service}.views")
    found: list[View] = []
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("test")):
        declared = importlib.import_module(f"{package.__name__}.{module}")
        views: Sequence[View] = getattr(declared, "VIEWS", None) or [declared.VIEW]
        found += views
    if service != projector_group():
        return found
    own = {view.path for view in found}
    pools = [pool_view(cls) for cls, kind in KINDS.items() if kind.pool]
    return [*found, *(record_view(cls) for cls, kind in KINDS.items() if kind.path not in own), *pools]


@cache
def projector_group() -> str:
    """The consumer group of the projector: it has the name of the service that declares what is made of events."""
    return Catalogue.read().with_role("projector")[0]


@cache
def known_everywhere() -> Mapping[str, Known]:
    """What services let every other one know, from each `services/<name>/known.py` there is (ADR 0015)."""
    return {name: module.KNOWN for name, module in Catalogue.read().modules("known")}
