"""The permission matrix of the specification (SEC-16), copied literally, and the right each of its rows is about."""

TABLE = """
| Function | SAL | SUP | MGT | FIN | CMD | WHS | SEA | QCI | BRO | DLR | HQ | MKT | ADM |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
| Customers: add, edit, delete own | Y | Y | - | - | - | - | y | - | - | - | - | - | Y |
| Customers: view beyond own | - | Y | Y | y | y | - | y | - | y | - | y | y | Y |
| Leads, pool: claim | Y | Y | - | - | - | - | - | - | - | - | - | - | Y |
| Leads, pool: assign | - | y | - | - | - | - | - | - | - | - | - | - | Y |
| Opportunities, follow-ups | Y | Y | - | - | - | - | - | - | - | - | - | - | Y |
| Send messages to customers | Y | Y | - | - | - | - | y | - | - | - | - | y | Y |
| Orders: create, change, submit | Y | Y | - | - | - | - | - | - | - | - | - | - | Y |
| Orders: approve | - | Y | - | Y | - | - | - | - | - | - | - | - | Y |
| Contract orders: submit | Y | Y | - | - | - | - | - | - | - | - | - | - | Y |
| Contract orders: approve | - | - | - | - | Y | - | - | - | - | - | - | - | Y |
| Stock-out, shipping | - | - | - | - | - | y | - | - | - | - | - | - | Y |
| Payments | - | - | - | y | - | - | - | - | - | - | - | - | Y |
| Products: view | y | y | y | y | y | y | y | - | y | - | y | y | Y |
| Products: add, edit, delete | - | - | - | - | - | y | - | - | - | - | - | - | Y |
| Sales reports: view | N | Y | Y | y | - | - | - | - | - | - | y | y | Y |
| Reports: build own | - | - | Y | - | - | - | - | - | - | - | - | - | Y |
| Manage subordinates' work | - | Y | - | - | - | - | - | - | - | - | - | - | Y |
| Service intake, field orders: create, dispatch | - | - | - | - | - | - | Y | - | - | - | - | - | Y |
| Field orders: own dispatched, confirm, feedback | - | - | - | - | - | - | - | - | - | Y | - | - | Y |
| Field orders: technician, progress, review, expense | - | - | - | - | - | - | - | - | Y | - | - | - | Y |
| Expense: audit, settle | - | - | - | - | - | - | - | - | - | - | Y | - | Y |
| Recording inspection, seat monitoring | - | - | - | - | - | - | - | y | - | - | - | - | Y |
| Campaigns | - | y | - | - | - | - | - | - | - | - | - | y | Y |
| System settings, flows, forms, rules, sync | N | - | - | - | - | - | - | - | - | - | - | - | Y |
| Accounts, roles, remote wipe, audit log, backup | N | - | - | - | - | - | - | - | - | - | - | - | Y |
| Platform system | - | - | - | - | - | - | - | - | - | - | - | - | Y |
"""

_ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.strip().splitlines()]
ROLES = _ROWS[0][1:]
CELLS = {row[0]: dict(zip(ROLES, row[1:], strict=True)) for row in _ROWS[2:]}
"""Function -> role -> Y, y, N or -."""

RIGHT_OF = {
    "Customers: add, edit, delete own": "customers.edit",
    "Customers: view beyond own": "customers.view",
    "Leads, pool: claim": "leads.claim",
    "Leads, pool: assign": "leads.assign",
    "Opportunities, follow-ups": "opportunities",
    "Send messages to customers": "messages.send",
    "Orders: create, change, submit": "orders.edit",
    "Orders: approve": "orders.approve",
    "Contract orders: submit": "contracts.submit",
    "Contract orders: approve": "contracts.approve",
    "Stock-out, shipping": "shipping",
    "Payments": "payments",
    "Products: view": "products.view",
    "Products: add, edit, delete": "products.edit",
    "Sales reports: view": "reports.sales",
    "Reports: build own": "reports.build",
    "Manage subordinates' work": "subordinates",
    "Service intake, field orders: create, dispatch": "service.dispatch",
    "Field orders: own dispatched, confirm, feedback": "field.feedback",
    "Field orders: technician, progress, review, expense": "field.progress",
    "Expense: audit, settle": "expenses",
    "Recording inspection, seat monitoring": "recordings",
    "Campaigns": "campaigns",
    "System settings, flows, forms, rules, sync": "settings",
    "Accounts, roles, remote wipe, audit log, backup": "accounts",
    "Platform system": "platform",
}

BEYOND_OWN = "Customers: view beyond own"
"""The row that is about reach: whoever may add customers sees the own ones anyway (ACC-48, CUS-15)."""

READINGS = {
    "leads.edit": "SAL SUP ADM",  # LED-02, LED-08: who has customers has leads
    "leads.view": "SAL SUP MGT MKT ADM",  # LED-08: the same, and who watches the whole, or wins them by campaigns
    "customers.merge": "SUP ADM",  # CUS-22: who leads people decides which of their records are the same
    "orders.view": "SAL SUP MGT FIN WHS ADM",  # ORD-09: who works with orders follows them
    "products.cost": "MGT FIN ADM",  # the purchase price and what follows from it (INV-02)
    "persons.keys": "ADM",  # CPL-01: who hands out what opens personal data in the event topics
    "comments.moderate": "SUP ADM",  # COL-09: who leads people takes away what they should not have said
    "records.viewers": "MGT ADM",  # UIX-07: who has viewed what tells of colleagues, not of records
    "communications.view": "SAL SUP MGT SEA MKT ADM",  # COM-08: who works with customers, or watches the whole
    "communications.correct": "ADM",  # COM-06: not editable after 24 h except by an administrator
    "tasks": "SAL SUP MGT FIN CMD WHS SEA QCI BRO HQ MKT ADM",  # TSK-01: assigned to staff, whatever their role
    "lists.share": "SUP MGT ADM",  # UIX-13: who leads people, or watches the whole, says how they see lists
    "settings.view": "ADM",  # ACC-48: settings are neither seen nor changed
    "system": "",  # Salestream's own services; nobody's
}
"""Rights that no row of the table is about, and who holds them `(our reading)`."""


def holders(function: str) -> frozenset[str]:
    """The roles with a Y or y in a row."""
    return frozenset(role for role, cell in CELLS[function].items() if cell in "Yy")


SEES_CUSTOMERS = holders(BEYOND_OWN) | holders("Customers: add, edit, delete own")
