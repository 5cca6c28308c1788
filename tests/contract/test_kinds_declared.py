"""What a declaration of a kind of record is refused for, before anything is made of it."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from chassis.catalogue import Catalogue
from chassis.documents.query_docs import list_parameters
from chassis.model.record_views import record_view
from chassis.model.views import Exact, Filter, Range, parameter_names
from contracts.declare import ContractError
from contracts.lists import LIST_PARAMETERS
from contracts.marketing import Survey
from contracts.records import KINDS, WITH_MERGES, WITH_POOL, kind_of, record
from contracts.statuses import Statuses
from contracts.types import Money, Name, Text

OF_EVERY_RECORD = (
    "id", "owner", "owner_id", "owner_name", "version", "created_at", "created_by", "changed_at", "changed_by",
    "deleted", "own", "shares", "shared_with", "shared_with_me", "incomplete", "thing_id", "price_currency",
    "status", "status_reason", "status_since", "actions", "labels", "lists",
)  # fmt: skip


def declared(name: str) -> None:
    """A kind of record with a field of this name."""
    told = {"__doc__": "A thing.", "__module__": __name__, "price": None}
    fields = {"subject": Name, "price": Money | None, name: Text}
    record("/things", view="campaigns", edit="campaigns", statuses=Statuses("NEW"))(
        type("Thing", (), {**told, name: "", "__annotations__": fields})
    )


@pytest.mark.parametrize("name", OF_EVERY_RECORD)
def test_a_field_that_every_record_has_is_refused_by_name(name: str) -> None:
    with pytest.raises(ContractError, match=rf"Thing: every record has {name} already"):
        declared(name)


@pytest.mark.parametrize("name", sorted(LIST_PARAMETERS))
def test_a_field_that_nobody_could_ask_about_is_refused_by_name(name: str) -> None:
    with pytest.raises(ContractError, match=rf"Thing: \?{name} of lists means something else"):
        declared(name)


def test_the_parameters_of_every_list_are_those() -> None:
    """A parameter that lists take and `contracts.lists` does not name would be nobody's to refuse."""
    for view in (view for view in Catalogue.read().views() if view.is_list):
        documented = {parameter["name"] for parameter in list_parameters(view)}
        assert documented - set(parameter_names(view.filters)) <= LIST_PARAMETERS, view.name


@pytest.mark.parametrize(
    "filters",
    [
        *({name: Exact("subject")} for name in sorted(LIST_PARAMETERS)),
        {"day": Range(date), "day_from": Exact("subject")},
    ],
)
def test_a_filter_whose_parameter_means_something_else_is_refused(filters: dict[str, Filter]) -> None:
    view = record_view(Survey)
    with pytest.raises(ContractError, match="mean something else already"):
        replace(view, filters=filters)


def test_the_fields_of_a_row_that_no_declaration_has_are_those() -> None:
    for cls in KINDS:
        own = {*kind_of(cls).fields, kind_of(cls).key}
        for name in set(record_view(cls).types) - own:
            assert name in {*OF_EVERY_RECORD, *WITH_POOL, *WITH_MERGES} or name.endswith("_currency")


@pytest.mark.parametrize("more", [{}, {"owned": True, "merge": "no.such_right"}, {"merge": "customers.merge"}])
def test_what_is_merged_belongs_to_somebody_and_needs_a_right(more: dict[str, Any]) -> None:
    told = {"__doc__": "A thing.", "__module__": __name__, "__annotations__": {"subject": Name}}
    declare = record("/things", view="campaigns", edit="campaigns", **{"merge": "campaigns", **more})
    with pytest.raises(ContractError, match="what is merged belongs to somebody"):
        declare(type("Thing", (), told))


@pytest.mark.parametrize("name", sorted(WITH_MERGES))
def test_a_field_of_a_kind_whose_records_are_merged_is_called_otherwise(name: str) -> None:
    told = {"__doc__": "A thing.", "__module__": __name__, name: ""}
    declare = record("/things", view="campaigns", edit="campaigns", owned=True, merge="campaigns")
    with pytest.raises(ContractError, match=rf"Thing: every record has {name} already"):
        declare(type("Thing", (), {**told, "__annotations__": {"subject": Name, name: Text}}))
