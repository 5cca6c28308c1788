"""Every route of a process, with what serves it.  `chassis.http.nameko` serves them with nameko."""

from chassis.audit.entries import object_kind
from chassis.http.audit_notes import ACTIONS, OBJECT_KINDS
from chassis.http.commands import BulkHandler, CommandHandler
from chassis.http.edge import Api
from chassis.http.messages import Route
from chassis.http.operations import Operations
from chassis.http.people import People
from chassis.http.problems import guarded
from chassis.http.rebuilds import Rebuilds
from chassis.http.routes import (
    MAILBOX_READ,
    OPERATED_ON,
    READS_LOG,
    ROLES_READ,
    command_routes,
    mailbox_route,
    operation_routes,
    people_routes,
    process_routes,
    view_routes,
)
from chassis.http.views import ViewHandler
from chassis.model.row_fields import ROLES
from chassis.model.views import View
from chassis.queries.filters import Known
from chassis.queries.reader import ViewReader
from contracts.declare import REGISTRY
from contracts.operations import PLATFORM_OPERATIONS


def routes_of(api: Api) -> list[Route]:
    """Every route of this process, guarded: whatever happens becomes an answer."""
    watched, people = Operations(api), People(api)
    found = process_routes(watched.livez, watched.readyz, watched.metrics)
    if api.writers:
        found += people_routes(people.me, people.roles)
    if READS_LOG in api.writers:
        found.append(mailbox_route(people.mailbox))
    for writer in api.writers.values():
        for spec in writer.service.specs():
            serve = CommandHandler(api, writer, spec)
            found += command_routes(spec, serve, BulkHandler(api, writer, spec), always=serve.prepares_secrets)
    if api.database is not None:
        for view in api.views:
            query = ViewHandler(api, view, reader_of(api, view))
            found += view_routes(view, query, query.one)
        if api.views:
            found += operation_routes(Rebuilds(api, api.views, api.database).serving())
    return [guarded(route) for route in found]


def reader_of(api: Api, view: View) -> ViewReader:
    """What reads a view for this process."""
    assert api.database is not None
    company = api.directory.company
    return ViewReader(
        api.database,
        view,
        sleep=api.sleep,
        zone=lambda: company.zone,
        aside=api.aside,
        company=company,
        records={name: writer.store.last_audit for name, writer in api.writers.items()},
        known=known(api),
    )


def known(api: Api) -> Known:
    """The closed sets that filters take values of, and that no view can name: what is data, or what is there."""
    actions = {*REGISTRY.commands, *(view.name for view in api.views), *(one.name for one in PLATFORM_OPERATIONS)}
    kinds = {object_kind(spec.cls) for spec in REGISTRY.commands.values()} | {view.what for view in api.views}
    return {
        ROLES: lambda: [row.role for row in api.directory.roles()],
        ACTIONS: lambda: sorted({*actions, ROLES_READ.action, MAILBOX_READ.action}),
        OBJECT_KINDS: lambda: sorted({*kinds, *OPERATED_ON, ROLES_READ.object_kind, MAILBOX_READ.object_kind}),
    }
