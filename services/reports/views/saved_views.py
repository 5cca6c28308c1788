"""How do people want to see lists, and which view does a list open with?  (UIX-10, UIX-11, UIX-13)"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.model.changes import Change, EventMetadata, Remove, Set
from chassis.model.deciding import Caller
from chassis.model.views import Exact, Scope, View, Words
from contracts.configuration import DefaultViewChosen, SavedViewDeleted, ViewSaved
from contracts.permissions import COLLEAGUE
from contracts.saved_views import DEFAULT_VIEWS, SAVED_VIEWS, Audience
from contracts.types import RoleCode


@dataclass
class SavedViewRow:
    """A view of a list that somebody has saved: `parameters` of its query, and the columns that are shown."""

    id: UUID
    list_name: str
    name: str
    parameters: list[dict[str, Any]]
    columns: list[str]
    audience: Audience
    roles: list[RoleCode]
    position: int
    owner_id: UUID | None
    owner_name: str
    changed_at: datetime
    version: int


@dataclass
class DefaultViewRow:
    """Which saved view a list opens with for the caller."""

    id: str
    user_id: UUID
    list_name: str
    saved_view_id: UUID
    chosen_at: datetime


def saved(event: ViewSaved, metadata: EventMetadata) -> Iterable[Change]:
    view = event.view
    yield Set(
        event.saved_view_id,
        list_name=view.list_name,
        name=view.name,
        parameters=view.parameters,
        columns=view.columns,
        audience=view.audience,
        roles=view.roles,
        position=view.position,
        owner_id=event.owner.user_id,
        owner_name=event.owner.name,
        changed_at=metadata.at,
        version=metadata.version,
    )


def deleted(event: SavedViewDeleted, _: EventMetadata) -> Iterable[Change]:
    yield Remove(event.saved_view_id)


def chosen(event: DefaultViewChosen, metadata: EventMetadata) -> Iterable[Change]:
    place = f"{event.user_id}:{event.list_name}"
    if event.saved_view_id is None:
        yield Remove(place)
        return
    yield Set(
        place,
        user_id=event.user_id,
        list_name=event.list_name,
        saved_view_id=event.saved_view_id,
        chosen_at=metadata.at,
    )


def seen(caller: Caller) -> Mapping[str, Any]:
    """One's own views, and those of others that are for everybody or for a role that one has."""
    return {
        "$or": [
            {"owner_id": str(caller.id)},
            {"audience": "EVERYBODY"},
            {"audience": "ROLES", "roles": {"$in": sorted(caller.roles)}},
        ]
    }


SAVED = View(
    name=SAVED_VIEWS,
    route="GET /saved-views",
    detail="saved_view_id",
    row=SavedViewRow,
    permission=COLLEAGUE,
    what="saved view",
    handlers={ViewSaved: saved, SavedViewDeleted: deleted},
    filters={"list_name": Exact(), "audience": Exact(), "owner_id": Exact(), "q": Words("name")},
    sorts=("position", "name"),
    scope=Scope("owner_id", seen=seen),
)
DEFAULTS = View(
    name=DEFAULT_VIEWS,
    route="GET /default-views",
    row=DefaultViewRow,
    permission=COLLEAGUE,
    what="default view",
    handlers={DefaultViewChosen: chosen},
    filters={"list_name": Exact()},
    sorts=("chosen_at",),
    scope=Scope("user_id", only_own=True),
)
VIEWS = (SAVED, DEFAULTS)
