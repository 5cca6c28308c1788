"""Callers of tests."""

from uuid import NAMESPACE_URL, uuid5

from chassis.model.principal import Principal


def user(name: str, *roles: str, superior: Principal | None = None) -> Principal:
    """A user of a test, with an id derived from the name."""
    id = uuid5(NAMESPACE_URL, f"test-user:{name}")
    return Principal(id, name, frozenset(roles), superior.user_id if superior else None)


MANAGER = user("mei", "MGT")
SUPERVISOR = user("sato", "SUP")
SALES = user("li", "SAL", superior=SUPERVISOR)
FINANCE = user("chen", "FIN")
WAREHOUSE = user("wang", "WHS")
ADMIN = user("admin", "ADM")
SYSTEM = Principal(None, "Salestream", frozenset({"SYSTEM"}), None)
