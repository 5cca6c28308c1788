"""Saved views: who may change one, and which one a list opens with (UIX-10, UIX-11, UIX-13)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self
from uuid import UUID

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import Context
from chassis.model.identity import Named
from contracts.configuration import (
    ChangeSavedView,
    ChooseDefaultView,
    DefaultViewChosen,
    DeleteSavedView,
    SavedViewDeleted,
    SaveView,
    ViewSaved,
)
from contracts.declare import KEPT
from contracts.errors import Refused, lacks_right, not_found
from contracts.people import SALESTREAM, Person
from contracts.saved_views import MOST_COLUMNS, MOST_PARAMETERS, MOST_VALUES, SHARE, ListView

SAVED_VIEW = "saved view"
NOTHING = ListView(list_name="", name="")


def chosen_by(user_id: UUID) -> Named:
    """What names the views that somebody has chosen for lists."""
    return Named("chooser_id", str(user_id))


@dataclass
class SavedView(Aggregate):
    """How somebody wants to see a list."""

    view: ListView = NOTHING
    owner: Person = SALESTREAM
    deleted: bool = False

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        saved = super().on_page(row)
        about = {name: row[name] for name in ("list_name", "name", "audience")}
        saved.view = ListView(**about, roles=tuple(row["roles"]))
        saved.owner = Person(user_id=row["owner_id"] and UUID(row["owner_id"]), name=row["owner_name"])
        return saved

    def require_may(self, command: type, context: Context) -> None:
        """Its owner changes it; who may share views takes away one that others see, too."""
        self.require_seen(context)
        is_shared = self.view.audience != "ME"
        is_moderated = command is DeleteSavedView and is_shared and context.reach_of(SHARE).covers(self.owner.user_id)
        if not (self._is_of(context) or is_moderated):
            raise Refused("views.not_yours", owner=self.owner.name, field="saved_view_id")

    def save(self, command: SaveView, context: Context) -> None:
        """Raises Refused for an audience that the caller may not have, and for too much."""
        self._keep(
            ListView(
                list_name=command.list_name,
                name=command.name,
                parameters=command.parameters,
                columns=command.columns,
                audience=command.audience,
                roles=command.roles,
                position=command.position,
            ),
            context.user,
            context,
        )

    def change(self, command: ChangeSavedView, context: Context) -> None:
        """Raises Refused for what `save` refuses, and for a view of somebody else."""
        self.require_may(ChangeSavedView, context)
        names = ("name", "parameters", "columns", "audience", "roles", "position")
        given = {name: value for name in names if (value := getattr(command, name)) is not KEPT}
        if given.get("audience", "ROLES") != "ROLES" and "roles" not in given:
            given["roles"] = ()
        self._keep(replace(self.view, **given), self.owner, context)

    def delete(self, _: DeleteSavedView, context: Context) -> None:
        """Raises Refused for a view of somebody else, but for who may share views where others see it."""
        self.require_may(DeleteSavedView, context)
        self.record(SavedViewDeleted(saved_view_id=self.id, by=context.user))

    def require_seen(self, context: Context) -> None:
        """Raises Refused NOT_FOUND for a view that was deleted, or that is not for whoever asks."""
        if self.deleted or not self._is_seen(context):
            raise not_found(SAVED_VIEW, "saved_view_id")

    def _is_seen(self, context: Context) -> bool:
        view = self.view
        if self._is_of(context) or view.audience == "EVERYBODY":
            return True
        return view.audience == "ROLES" and bool(context.roles & {*view.roles})

    def _is_of(self, context: Context) -> bool:
        return self.owner.user_id == context.user.user_id

    def _keep(self, view: ListView, owner: Person, context: Context) -> None:
        _require_bounded(view)
        if view.audience != "ME" and not context.may(SHARE):
            raise lacks_right(SHARE, context.organisation.roles_with(SHARE))
        if (view.audience == "ROLES") != bool(view.roles):
            raise Refused("views.roles", field="roles")
        for index, role in enumerate(view.roles if view.roles != self.view.roles else ()):
            if not context.organisation.has_role(role):
                raise not_found("role", f"roles.{index}")
        if view != self.view:
            self.record(ViewSaved(saved_view_id=self.id, view=view, owner=owner, by=context.user))

    @applies(ViewSaved)
    def _saved(self, fact: ViewSaved) -> None:
        self.view, self.owner = fact.view, fact.owner

    @applies(SavedViewDeleted)
    def _deleted(self, _: SavedViewDeleted) -> None:
        self.deleted = True


def _require_bounded(view: ListView) -> None:
    """Raises Refused naming what there is too much of."""
    counts: list[tuple[str, int, int]] = [
        ("parameters", len(view.parameters), MOST_PARAMETERS),
        ("columns", len(view.columns), MOST_COLUMNS),
        *(("parameters", len(one.values), MOST_VALUES) for one in view.parameters),
    ]
    for name, count, most in counts:
        if count > most:
            raise Refused("views.most", most=most, field=name)


@dataclass
class DefaultViews(Aggregate):
    """The views that one person has chosen, by list."""

    snapshot_every = 100

    chosen: dict[str, UUID] = field(default_factory=dict)

    def choose(self, command: ChooseDefaultView, user_id: UUID, context: Context) -> None:
        """The list opens with this view from now on."""
        if self.chosen.get(command.list_name) != command.saved_view_id:
            self.record(
                DefaultViewChosen(
                    user_id=user_id,
                    list_name=command.list_name,
                    saved_view_id=command.saved_view_id,
                    by=context.user,
                )
            )

    @applies(DefaultViewChosen)
    def _chosen(self, fact: DefaultViewChosen) -> None:
        others = {name: id for name, id in self.chosen.items() if name != fact.list_name}
        self.chosen = {**others, fact.list_name: fact.saved_view_id} if fact.saved_view_id else others
