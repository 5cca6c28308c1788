"""Rights and the roles that hold them: the permission matrix of SEC-16, one line a right."""

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
        "customers.view": "SAL SUP MGT FIN CMD SEA BRO HQ MKT ADM",
        "products.view": "SAL SUP MGT FIN CMD WHS SEA BRO HQ MKT ADM",
        "products.edit": "WHS ADM",
        "products.cost": "MGT FIN ADM",
        "orders.edit": "SAL SUP ADM",
        "orders.view": "SAL SUP MGT FIN WHS ADM",
        "orders.approve": "SUP FIN ADM",
        "shipping": "WHS ADM",
        "payments": "FIN ADM",
        "reports.sales": "SUP MGT FIN HQ MKT ADM",
        "settings": "ADM",
        "settings.view": "SAL SUP MGT FIN CMD WHS ADM",
        "system": "SYSTEM",
    }.items()
}

# Data scopes (SEC-18): who sees more than the records they own.  Every other role sees its own.
SCOPE_ALL = frozenset({"MGT", "FIN", "WHS", "HQ", "MKT", "CMD", "SEA", "BRO", "ADM", "SYSTEM"})
SCOPE_SUBORDINATES = frozenset({"SUP"})


def may(roles: frozenset[str], right: str) -> bool:
    """Whether one of `roles` holds `right`.  An unknown right is an error, not a refusal."""
    return not roles.isdisjoint(RIGHTS[right])
