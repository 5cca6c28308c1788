"""What holds while nobody has set anything: the values of each group of settings, as its command takes them.

The aggregates start with them, and the settings view shows them, so that they can be read and set again.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from contracts.types import FIRST_CURRENCY

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "sales-process": {
        "threshold": Decimal("5000.00"),
        "currency": FIRST_CURRENCY,
        "route": ("SUPERVISOR", "FINANCE"),
        "shipping": "AUTOMATIC",
        "rates": (),
    },
    "customers": {"required": ("name", "mobile", "industry")},
    "access": {
        "self_registration": True,
        "first_sign_in_code": False,
        "challenge": "AFTER_FAILURE",
        "second_factor_roles": (),
    },
    "notices": {"ways": ()},
    "devices": {"lock_minutes": 1, "allowed_apps": ()},
    "company": {
        "full_name": "",
        "phone": "",
        "address": "",
        "email": "",
        "currency": FIRST_CURRENCY,
        "language": "zh",
        "time_zone": "Asia/Shanghai",
    },
}
"""By settings id.  The company has no name before somebody gives one."""
