"""Every route of a process, with what serves it.  `chassis.http.nameko` serves them with nameko."""

from collections.abc import Mapping, Sequence
from functools import partial

from chassis.audit.entries import ACTIONS, OBJECT_KINDS, object_kind
from chassis.catalogue import Catalogue
from chassis.commands.runs import reverting
from chassis.http.commands import BulkHandler, CommandHandler
from chassis.http.compression import compressing
from chassis.http.duplicates import DuplicatesHandler
from chassis.http.edge import Api
from chassis.http.merging import MergingHandler
from chassis.http.messages import Route, Serve
from chassis.http.operations import Operations
from chassis.http.overviews import OverviewHandler, ReadPart
from chassis.http.person_keys import PersonKeys
from chassis.http.problems import guarded
from chassis.http.rebuilds import Rebuilds
from chassis.http.routes import OPERATED_ON, ServesOfView, command_routes, operation_routes, process_routes, view_routes
from chassis.http.saved_views import SavedViews
from chassis.http.undoing import UndoHandler
from chassis.http.views import Children, ViewHandler
from chassis.model.row_fields import ROLES
from chassis.model.views import KINDS_OF_SUBJECTS, View
from chassis.queries.filters import ClosedSets
from chassis.queries.overviews import fields_naming, parts_of
from chassis.queries.reader import ViewReader
from contracts.declare import REGISTRY
from contracts.lists import VIEWED
from contracts.operations import PLATFORM_OPERATIONS
from contracts.pools import POOL_ID
from contracts.records import KINDS, kind_called
from contracts.saved_views import DEFAULT_VIEWS, SAVED_VIEWS
from contracts.subjects import subjects


def routes_of(api: Api) -> list[Route]:
    """Every route of this process, guarded: whatever happens becomes an answer."""
    watched = Operations(api)
    found = process_routes(watched.livez, watched.readyz, watched.metrics)
    for service, own in Catalogue.read().routes():
        if service in api.writers or (own.everywhere and api.writers):
            found.append(own.served_by(partial(own.serve, api)))
    for writer in api.writers.values():
        for spec in writer.service.specs():
            serve = CommandHandler(api, writer, spec)
            bulk, undo = BulkHandler(api, writer, spec), UndoHandler(api, writer, spec) if reverting(spec) else None
            found += command_routes(spec, serve, bulk, undo, always=serve.prepares_secrets)
    if api.database is not None:
        closed, pages = known(api), Catalogue.read().pages()
        saved = saved_views(api, closed)
        readers = {view.name: reader_of(api, view, closed) for view in api.views}
        for view in api.views:
            children = children_of(api, view, closed)
            reader = readers[view.name]
            query = ViewHandler(api, view, reader, pages, children=children, saved=saved)
            parts = [ReadPart(part, readers[part.view.name]) for part in parts_of(view, api.views)]
            overview = OverviewHandler(api, view, reader, query, parts)
            duplicates = DuplicatesHandler(api, view, reader, query)
            merging = MergingHandler(api, view, reader, query, parts)
            serves: list[Serve] = [query, query.one, query.history, overview, duplicates, merging]
            found += view_routes(view, ServesOfView(*map(compressing, serves)))
        if api.views:
            found += operation_routes({**Rebuilds(api, api.views, api.database).serving(), **PersonKeys(api).serving()})
    return [guarded(route, api.told_in) for route in found]


def children_of(api: Api, view: View, closed: ClosedSets) -> Sequence[Children]:
    """What reads the records whose deletion that of a record of a view waits for."""
    found = []
    for kind in KINDS.values():
        for name, field in kind.parents.items():
            lists = [one for one in api.views if one.is_list and one.kind == kind.code]
            if view.kind and kind_called(field.rules.record).code == view.kind and not field.rules.outlives:
                found += [Children(kind.what, name, reader_of(api, one, closed)) for one in lists]
        if kind.pools and kind.pools.code == view.kind:
            lists = [one for one in api.views if one.is_list and one.kind == kind.code]
            found += [Children(kind.what, POOL_ID, reader_of(api, one, closed)) for one in lists]
    return found


def reader_of(api: Api, view: View, closed: ClosedSets, *, is_named: bool = False) -> ViewReader:
    """What reads a view for this process.

    One that `is_named` by rows of others is asked for what it is called, and who sees it, alone.
    """
    assert api.database is not None
    company = api.directory.company
    about = {one.subject: one for one in api.views if one.is_list and one.subject in subjects()}
    return ViewReader(
        api.database,
        view,
        sleep=api.sleep,
        zone=lambda: company.zone,
        clock=api.clock,
        aside=api.aside,
        company=company,
        records={name: writer.store.last_audit for name, writer in api.writers.items()},
        known=closed,
        subjects={code: reader_of(api, one, closed, is_named=True) for code, one in about.items()}
        if view.of_subject
        else {},
        parents={
            name: reader_of(api, one, closed, is_named=True)
            for name, kind in view.parents.items()
            for one in api.views
            if one.kind == kind and one.is_list and (not is_named or name == view.reached_through)
        },
        merging={} if is_named else merging_of(api, view, closed),
        viewings=next((one for one in api.views if VIEWED in one.types and one.scope and one.scope.only_own), None),
    )


def merging_of(api: Api, view: View, closed: ClosedSets) -> Mapping[str, Sequence[ViewReader]]:
    """What reads the records that may have gone into others, by the filters of a view that name such (ADR 0066)."""
    found: dict[str, list[ViewReader]] = {}
    for one in (one for one in api.views if one.is_list and one.kind and one.has_merges):
        for name in fields_naming(one, view):
            found.setdefault(name, []).append(reader_of(api, one, closed, is_named=True))
    return found


def saved_views(api: Api, closed: ClosedSets) -> SavedViews | None:
    """What people have saved of lists, where the lists of that are served."""
    there = {view.name: view for view in api.views}
    if not {SAVED_VIEWS, DEFAULT_VIEWS} <= there.keys():
        return None
    return SavedViews(*(reader_of(api, there[name], closed) for name in (SAVED_VIEWS, DEFAULT_VIEWS)))


def known(api: Api) -> ClosedSets:
    """The closed sets that filters take values of, and that no view can name: what is data, or what is there."""
    actions, kinds = names_in_audit_log(api.views)
    return {
        ROLES: lambda: [row.role for row in api.directory.roles()],
        ACTIONS: lambda: actions,
        OBJECT_KINDS: lambda: kinds,
        KINDS_OF_SUBJECTS: lambda: sorted(subjects()),
    }


def names_in_audit_log(views: Sequence[View]) -> tuple[list[str], list[str]]:
    """What entries of the audit log say was done, and the kinds of objects they are about."""
    noted = [own for _, own in Catalogue.read().routes() if own.object_kind]
    named = (*views, *PLATFORM_OPERATIONS, *noted)
    actions = {*REGISTRY.commands, *(one.name for one in named)}
    kinds = {object_kind(spec.cls) for spec in REGISTRY.commands.values()} | {view.what for view in views}
    kinds |= {*OPERATED_ON, *(own.object_kind for own in noted)}
    return sorted(actions), sorted(kinds)
