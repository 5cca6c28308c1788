"""What a company sets of signing in."""

from chassis.model.service import Work
from contracts.access import (
    SetAccessSettings,
)
from contracts.errors import Refused
from services.access.domain.roles import Role, role_id
from services.access.domain.sessions import (
    AccessSettings,
)
from services.access.domain.users import (
    User,
)
from services.access.handlers.records import administrators_of, settings_of


def set_access_settings(command: SetAccessSettings, work: Work) -> AccessSettings:
    """Refused where it would lock somebody out: an administrator, or anybody else this process has heard of."""
    settings = settings_of(work)
    after = settings.after(command)
    concerned = [*administrators_of(work).members, *after.concerned_by(work.context.organisation, settings)]
    for role in after.second_factor_roles:
        if role not in settings.second_factor_roles and not work.find_or_new(Role, role_id(role)).exists(role):
            raise Refused("access.no_role", role=role, route=f"PUT /roles/{role}", field="second_factor_roles")
    people = (work.find(User, id) for id in dict.fromkeys(concerned))
    after.require_way_in([user for user in people if user is not None], settings)
    settings.change(command, work.context)
    return settings
