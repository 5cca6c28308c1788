"""Rights, the roles that hold them at first, and how far each reaches: the matrix of SEC-16, one line a right.

This is where a company starts.  Administrators adjust it (`GrantRight`, `RevokeRight`, `DefineRole` of the access
service); what holds then is told by the access service's events.  A right that comes with a later release is a line
here too: every role gets what the line says, also one that was adjusted before, for nobody has judged that right yet.
Administrators hold every right, always.
"""

from collections.abc import Collection, Mapping
from typing import Literal, get_args

DataScope = Literal["OWN", "SUBORDINATES", "DEPARTMENT", "ALL"]
"""Whose records a right reaches (SEC-18): one's own; those of the people one leads too; one's department's; all."""

DATA_SCOPES: tuple[DataScope, ...] = get_args(DataScope)

ROLES: dict[str, str] = {
    "SAL": "salesperson",
    "SUP": "sales supervisor / manager",
    "MGT": "management",
    "FIN": "finance",
    "CMD": "commercial desk",
    "WHS": "warehouse",
    "SEA": "operator seat",
    "QCI": "quality inspector",
    "BRO": "branch office",
    "DLR": "dealer",
    "HQ": "headquarters",
    "MKT": "marketing",
    "ADM": "administrator",
    "SYSTEM": "Salestream's own services",
}

RIGHTS: dict[str, frozenset[str]] = {
    right: frozenset(roles.split())
    for right, roles in {
        "customers.edit": "SAL SUP SEA ADM",
        "customers.merge": "SUP ADM",
        "customers.view": "SAL SUP MGT FIN CMD SEA BRO HQ MKT ADM",
        "leads.edit": "SAL SUP ADM",
        "leads.view": "SAL SUP MGT MKT ADM",
        "leads.claim": "SAL SUP ADM",
        "leads.assign": "SUP ADM",
        "opportunities": "SAL SUP ADM",
        "messages.send": "SAL SUP SEA MKT ADM",
        "products.view": "SAL SUP MGT FIN CMD WHS SEA BRO HQ MKT ADM",
        "products.edit": "WHS ADM",
        "products.cost": "MGT FIN ADM",
        "orders.edit": "SAL SUP ADM",
        "orders.view": "SAL SUP MGT FIN WHS ADM",
        "orders.approve": "SUP FIN ADM",
        "contracts.submit": "SAL SUP ADM",
        "contracts.approve": "CMD ADM",
        "shipping": "WHS ADM",
        "payments": "FIN ADM",
        "reports.sales": "SUP MGT FIN HQ MKT ADM",
        "reports.build": "MGT ADM",
        "subordinates": "SUP ADM",
        "service.dispatch": "SEA ADM",
        "field.feedback": "DLR ADM",
        "field.progress": "BRO ADM",
        "expenses": "HQ ADM",
        "recordings": "QCI ADM",
        "campaigns": "SUP MKT ADM",
        "settings": "ADM",
        "settings.view": "ADM",
        "accounts": "ADM",
        "platform": "ADM",
        "persons.keys": "ADM",
        "comments.moderate": "SUP ADM",
        "records.viewers": "MGT ADM",
        "communications.view": "SAL SUP MGT SEA MKT ADM",
        "communications.correct": "ADM",
        "tasks": "SAL SUP MGT FIN CMD WHS SEA QCI BRO HQ MKT ADM",
        "lists.share": "SUP MGT ADM",
        "system": "SYSTEM",
    }.items()
}

FIELD_RIGHTS: dict[str, str] = dict.fromkeys(
    ("purchase", "purchase_price", "purchase_price_currency", "unit_cost", "sold_cost", "cost_incomplete",
     "profit_rate"),
    "products.cost",
)  # fmt: skip
"""The fields that one sees only with a further right, by their names, wherever they stand: in a row of a view, in what
a command asked for, in the state of a record before and after (INV-02)."""

ADMINISTRATOR = "ADM"
NEVER_GIVEN = "SYSTEM"
"""The role that nobody can be given."""
LEADERSHIP = "subordinates"
"""The right to lead people: who holds it for everybody decides what nobody else can (APR-12)."""
LEADS = ("orders.approve", LEADERSHIP)
"""What one must hold to decide on the orders of the people one leads (APR-12)."""

JUDGED_FIRST = frozenset({
    "customers.edit", "customers.view", "leads.claim", "leads.assign", "opportunities", "messages.send",
    "products.view", "products.edit", "products.cost", "orders.edit", "orders.view", "orders.approve",
    "contracts.submit", "contracts.approve", "shipping", "payments", "reports.sales", "reports.build", "subordinates",
    "service.dispatch", "field.feedback", "field.progress", "expenses", "recordings", "campaigns", "settings",
    "settings.view", "accounts", "platform", "system",
})  # fmt: skip
"""The rights there were before the events of roles said which ones they knew of.  Never changes."""

PUBLIC = "public"  # nobody needs to be signed in: signing in itself, registering, recovering a password
SELF = "self"  # whoever is signed in, for what is their own
PASSWORD = "password"  # the same, also with a default password that must be changed first (SEC-02)
COLLEAGUE = "colleague"  # whoever has a role: who registered is a stranger until an administrator gives one (SEC-04)
STAFF = "staff"  # whoever has a role, and programs: the record says which of them may
OPEN = frozenset({PUBLIC, SELF, PASSWORD, COLLEAGUE, STAFF})
"""What a command or view may name instead of a right."""

# Data scopes (SEC-18): who sees more than the records they own.  Every other role sees its own.
SCOPE_ALL = frozenset({"MGT", "FIN", "WHS", "HQ", "MKT", "CMD", "SEA", "BRO", "ADM", "SYSTEM"})
SCOPE_SUBORDINATES = frozenset({"SUP"})
ONLY_OWN = frozenset(
    {("SEA", "customers.edit"), *((role, "tasks") for role in ("FIN", "CMD", "WHS", "SEA", "BRO", "HQ", "MKT"))}
)
"""Rights by which a role that sees all of other things reaches what is its own alone: not everybody's tasks, say."""


def first_scope(role: str, right: str) -> DataScope:
    """How far a role's right reaches as long as nobody has set it otherwise."""
    if (role, right) in ONLY_OWN:
        return "OWN"
    return "ALL" if role in SCOPE_ALL else "SUBORDINATES" if role in SCOPE_SUBORDINATES else "OWN"


def first_rights(role: str) -> dict[str, DataScope]:
    """The rights of a role, and how far each reaches, as long as nobody has adjusted them."""
    held = {right: first_scope(role, right) for right, roles in RIGHTS.items() if role in roles}
    if role == ADMINISTRATOR:
        held |= {right: "ALL" for right, roles in RIGHTS.items() if roles != {"SYSTEM"}}
    return held


def rights_of(role: str, given: Mapping[str, DataScope], judged: Collection[str] | None) -> dict[str, DataScope]:
    """The rights of a role that was adjusted: what it was given, and its part of what nobody has judged yet.

    `judged` names the rights there were at the last adjustment; None stands for those of `JUDGED_FIRST`.
    """
    if role == ADMINISTRATOR:
        return first_rights(role)
    known = JUDGED_FIRST if judged is None else judged
    return {**{right: scope for right, scope in first_rights(role).items() if right not in known}, **given}
