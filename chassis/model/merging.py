"""What would come of it if a record went into another one: asked before that is done (ADR 0066)."""

from chassis.model.duplicates import kind_of_view
from chassis.model.views import View
from contracts.declare import REGISTRY


def preview_path(view: View) -> str:
    """The path of the question, "" where no two records of a view are merged."""
    return f"{view.page}/merge" if view.has_merges and view.detail else ""


def right_of(view: View) -> str:
    """The right that the question needs: that to merge such records."""
    kind = kind_of_view(view)
    assert kind is not None and kind.merge, f"{view.name} is not the list of records that are merged"
    return REGISTRY.command_of(kind.merge).permission
