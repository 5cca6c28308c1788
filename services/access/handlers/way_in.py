"""Nobody is left without a way to sign in (SEC-05, SEC-06)."""

from typing import Any

from chassis.model.aggregates import Aggregate
from chassis.model.service import CommandFunction, Work
from contracts.declare import KEPT
from contracts.errors import Refused
from contracts.reasons import Why
from services.access.domain.users import (
    CONTACTS,
    User,
)
from services.access.handlers.records import settings_of

NO_CONTACT = {"MAIL": Why("access.no_email"), "SMS": Why("access.no_phone")}


def keeps_way_in(handler: CommandFunction, field: str) -> CommandFunction:
    """A handler that is refused where it would leave somebody with no way to sign in (SEC-05, SEC-06).

    Raises Refused VALIDATION naming the contact that the command takes away or does not give, else `field`.  Whoever
    had no way in before is not looked at: there is nothing to lose.
    """

    def guarded(command: Any, work: Work) -> Aggregate:
        user = work.find(User, command.user_id)
        settings = settings_of(work)
        had_none = user is not None and settings.locks_out(user)
        changed = handler(command, work)
        if isinstance(changed, User) and settings.locks_out(changed) and not had_none:
            missing = [name for name in CONTACTS.values() if getattr(command, name, KEPT) in (None, "")]
            at_fault = missing[0] if missing else field
            missed = NO_CONTACT.get(changed.factor.method, Why("access.no_contact"))
            raise Refused(
                "access.no_way_in",
                missing=missed,
                route="PATCH /users/{user_id}",
                field=at_fault,
                state="NO_CONTACT",
            )
        return changed

    return guarded
