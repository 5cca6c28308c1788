"""What every service knows of the settings of customers: which fields must be filled (CUS-02)."""

from chassis.access.known import Known, KnownRequired
from chassis.model.service import Replica
from contracts.customers import CUSTOMER, CustomerSettingsSet


def required_told(row: KnownRequired | None, fact: CustomerSettingsSet) -> KnownRequired:
    """Older news change nothing; those of before revisions were told come in order."""
    if row is not None and row.revision > fact.revision:
        return row
    return KnownRequired(CUSTOMER.code, fact.required, fact.revision)


REQUIRED = Replica(
    "customers-required", KnownRequired, feeds={CustomerSettingsSet: required_told}, key=lambda _: CUSTOMER.code
)

KNOWN = Known((REQUIRED,))
