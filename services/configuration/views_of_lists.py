"""The commands by which people save how they want to see lists (UIX-10, UIX-11, UIX-13)."""

from collections.abc import Mapping, Sequence

from chassis.model.service import CommandFunction, Work
from contracts.configuration import ChangeSavedView, ChooseDefaultView, DeleteSavedView, SaveView
from contracts.declare import KEPT
from contracts.errors import Refused
from contracts.saved_views import ListParameter
from services.configuration.domain.saved_views import SAVED_VIEW, DefaultViews, SavedView, chosen_by


def save(command: SaveView, work: Work) -> SavedView:
    view = work.new(SavedView, command.saved_view_id, what=SAVED_VIEW, field="saved_view_id")
    require_taken(command.list_name, command.parameters, command.columns, work)
    view.save(command, work.context)
    return view


def change(command: ChangeSavedView, work: Work) -> SavedView:
    view = work.get(SavedView, command.saved_view_id, what=SAVED_VIEW, field="saved_view_id")
    view.require_may(ChangeSavedView, work.context)
    if command.parameters is not KEPT or command.columns is not KEPT:
        parameters = view.view.parameters if command.parameters is KEPT else command.parameters
        columns = view.view.columns if command.columns is KEPT else command.columns
        require_taken(view.view.list_name, parameters, columns, work)
    view.change(command, work.context)
    return view


def require_taken(list_name: str, parameters: Sequence[ListParameter], columns: Sequence[str], work: Work) -> None:
    """Raises Refused naming what the list does not take from whoever saves it."""
    work.context.require_taken(list_name, {one.name: one.values for one in parameters}, columns)


def delete(command: DeleteSavedView, work: Work) -> SavedView:
    view = work.get(SavedView, command.saved_view_id, what=SAVED_VIEW, field="saved_view_id")
    view.delete(command, work.context)
    return view


def choose(command: ChooseDefaultView, work: Work) -> DefaultViews:
    user_id = work.context.user.user_id
    assert user_id is not None, "who is signed in has an id"
    if command.saved_view_id is not None:
        view = work.get(SavedView, command.saved_view_id, what=SAVED_VIEW, field="saved_view_id")
        view.require_seen(work.context)
        if view.view.list_name != command.list_name:
            raise Refused("views.of_another_list", list=view.view.list_name, field="saved_view_id")
    chosen = work.find_or_new(DefaultViews, chosen_by(user_id))
    chosen.choose(command, user_id, work.context)
    return chosen


COMMANDS: Mapping[type, CommandFunction] = {
    SaveView: save,
    ChangeSavedView: change,
    DeleteSavedView: delete,
    ChooseDefaultView: choose,
}
