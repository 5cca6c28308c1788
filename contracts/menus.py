"""The menu: which entries there are, and the right that shows each (SEC-17, SEC-30).

Whoever holds the right sees the entry, so a menu follows the roles and what administrators make of them.
"""

from typing import Literal

from contracts.declare import value
from contracts.permissions import STAFF
from contracts.records import KINDS, pool_path


@value
class MenuEntry:
    """One entry: where it leads, in which of the two systems it stands, and the right it needs."""

    name: str
    path: str
    right: str
    system: Literal["business", "platform"]


MENU: tuple[MenuEntry, ...] = (
    MenuEntry(name="Customers", path="/customers", right="customers.view", system="business"),
    MenuEntry(name="Communications", path="/communications", right="communications.view", system="business"),
    MenuEntry(name="Products", path="/products", right="products.view", system="business"),
    MenuEntry(name="Orders", path="/orders", right="orders.view", system="business"),
    MenuEntry(name="Approvals", path="/approvals", right=STAFF, system="business"),
    MenuEntry(name="Shipments", path="/shipments", right="shipping", system="business"),
    MenuEntry(name="Lead report", path="/reports/leads", right="leads.view", system="business"),
    MenuEntry(name="Sales by day", path="/reports/sales-by-day", right="reports.sales", system="business"),
    MenuEntry(name="Sales process", path="/settings/sales-process", right="settings.view", system="business"),
    MenuEntry(name="Users", path="/users", right="accounts", system="platform"),
    MenuEntry(name="Roles", path="/roles", right="accounts", system="platform"),
    MenuEntry(name="Departments", path="/departments", right="accounts", system="platform"),
    MenuEntry(name="Machine accounts", path="/machines", right="accounts", system="platform"),
    MenuEntry(name="Phones", path="/devices", right="accounts", system="platform"),
    MenuEntry(name="System parameters", path="/parameters", right="settings", system="platform"),
    MenuEntry(name="Scheduled tasks", path="/schedules", right="platform", system="platform"),
    MenuEntry(name="Operation log", path="/audit", right="accounts", system="platform"),
    MenuEntry(name="Security report", path="/reports/security", right="accounts", system="platform"),
)


def menu() -> tuple[MenuEntry, ...]:
    """All entries: those above, one for the list of each kind of record that has none there, and of its pool."""
    lists = (
        MenuEntry(
            name=kind.path.strip("/").replace("-", " ").capitalize(),
            path=kind.path,
            right=kind.view,
            system="business",
        )
        for kind in KINDS.values()
        if kind.path not in {entry.path for entry in MENU}
    )
    pools = (
        MenuEntry(name=f"{kind.name} pool", path=pool_path(kind), right=kind.pool.claim, system="business")
        for kind in KINDS.values()
        if kind.pool
    )
    return (*MENU, *lists, *pools)
