"""All that a client is told, put together from what is declared."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from chassis.audit.entries import ACTIONS, OBJECT_KINDS
from chassis.catalogue import Catalogue
from chassis.http.serving import names_in_audit_log
from chassis.metadata.forms import CompanyForm, command_metadata, kind_of_command, statuses
from chassis.metadata.shapes import (
    DictionaryMetadata,
    EntryMetadata,
    ErrorMetadata,
    MenuItem,
    Metadata,
    Named,
    OccasionMetadata,
    ParameterMetadata,
    ProcessMetadata,
    ReasonMetadata,
)
from chassis.metadata.views import ViewTold
from chassis.model.dictionaries import AS_PREPARED, Tree
from chassis.model.row_fields import ROLES as ROLES_THERE_ARE
from chassis.model.saga import Saga
from chassis.model.views import KINDS_OF_SUBJECTS
from chassis.model.wording import Wording
from chassis.queries.conditions import OPERATORS
from chassis.queries.filters import ClosedSets
from contracts.declare import REGISTRY
from contracts.errors import STATUS
from contracts.languages import LANGUAGES, Language
from contracts.menus import MenuEntry, menu
from contracts.occasions import OCCASIONS, places
from contracts.parameters import PARAMETERS
from contracts.permissions import RIGHTS, ROLES
from contracts.reasons import reasons
from contracts.subjects import subjects

GRANTED = [right for right, roles in RIGHTS.items() if roles != {"SYSTEM"}]
"""The rights that people and programs may hold."""
Role = tuple[str, str]
"""The code of a role, and the name it has."""


class Company(NamedTuple):
    """What the company has made of what is declared: its roles, the entries of its dictionaries and its forms, and the
    language that it speaks."""

    roles: tuple[Role, ...] = ()
    dictionaries: tuple[tuple[str, Tree], ...] = AS_PREPARED.all()
    forms: tuple[CompanyForm, ...] = ()
    language: Language = LANGUAGES[0]


def metadata(wording: Wording, may: Callable[[str], bool], company: Company) -> Metadata:
    """What is told in some words, and of this company, to whom holds the rights that `may` tells."""
    told = _Teller(wording, may, company, Catalogue.read()).told()
    return msgspec.structs.replace(told, dictionaries=[_dictionary(wording, *one) for one in company.dictionaries])


def _dictionary(wording: Wording, name: str, tree: Tree) -> DictionaryMetadata:
    entries = [
        EntryMetadata(
            code=entry.code,
            label=entry.label(wording.language),
            parent=tree.parent(entry),
            active=tree.is_active(entry),
        )
        for entry in tree.branch("")
    ]
    return DictionaryMetadata(name=name, label=wording.choice((), "dictionary", name), entries=entries)


class _Teller:
    """Tells everything in one wording."""

    def __init__(self, wording: Wording, may: Callable[[str], bool], company: Company, catalogue: Catalogue):
        self._wording, self._may, self._roles = wording, may, company.roles
        self._forms = {form.kind: form for form in company.forms}
        self._views, self._sagas = catalogue.views(), catalogue.sagas()
        actions, kinds = names_in_audit_log(self._views)
        self._sets: ClosedSets = {
            ROLES_THERE_ARE: lambda: [code for code, _ in company.roles],
            ACTIONS: lambda: actions,
            OBJECT_KINDS: lambda: kinds,
            KINDS_OF_SUBJECTS: lambda: sorted(subjects()),
        }

    def _form(self, kind: str) -> CompanyForm:
        return self._forms.get(kind, CompanyForm(kind))

    def told(self) -> Metadata:
        wording, may = self._wording, self._may
        return Metadata(
            language=wording.language,
            views=[
                ViewTold(view, wording, may, self._sets, self._of_set, own=self._form(view.kind).own).told()
                for view in self._views
                if may(view.permission)
            ],
            commands=[
                command_metadata(spec, wording, may, self._form(kind_of_command(spec.cls)))
                for spec in REGISTRY.commands.values()
                if spec.is_public and may(spec.permission)
            ],
            rights=[Named(right, wording.of("rights", right)) for right in GRANTED],
            roles=[Named(code, self._role(code, title)) for code, title in self._roles],
            menu=[self._item(entry) for entry in menu() if may(entry.right)],
            systems=[Named(name, wording.of("menu", name)) for name in dict.fromkeys(one.system for one in menu())],
            operators=[Named(name, wording.of("operators", name)) for name in OPERATORS],
            errors=[
                ErrorMetadata(
                    code=code, label=wording.of("errors", code), status=int(status), reasons=self._reasons(code)
                )
                for code, status in STATUS.items()
            ],
            processes=[self._process(saga) for _, saga in self._sagas],
            parameters=[
                ParameterMetadata(
                    name=name,
                    label=wording.of("parameters", name),
                    default=one.default,
                    lowest=one.lowest,
                    highest=one.highest,
                )
                for name, one in PARAMETERS.items()
            ],
            occasions=[
                OccasionMetadata(
                    code=occasion,
                    label=wording.choice((), "occasion", occasion),
                    text=wording.as_it_stands("notices", occasion),
                    places=sorted(places(occasion)),
                )
                for occasion in OCCASIONS
            ],
            dictionaries=[],
        )

    def _of_set(self, known: str, value: str) -> str:
        """What a value of a closed set is called."""
        if known == ROLES_THERE_ARE:
            return self._role(value, dict(self._roles)[value])
        return self._action(value) if known == ACTIONS else self._wording.kind(value)

    def _reasons(self, code: str) -> list[ReasonMetadata]:
        """The reasons that have a code."""
        return [
            ReasonMetadata(reason=name, text=one.text.in_language(self._wording.language), params=sorted(one.places))
            for name, one in reasons().items()
            if one.code == code
        ]

    def _role(self, code: str, title: str) -> str:
        """What a role is called: as an administrator has named it, or else by its text."""
        return self._wording.of("roles", code) if title == ROLES.get(code) else title

    def _action(self, name: str) -> str:
        is_view = name in {view.name for view in self._views}
        return self._wording.list(name) if is_view else self._wording.command(name)

    def _item(self, entry: MenuEntry) -> MenuItem:
        """An entry of the menu; one that leads to a list is called as that."""
        view = next((view for view in self._views if view.path == entry.path), None)
        label = self._wording.list(view.name) if view else self._wording.of("menu", entry.path)
        return MenuItem(name=entry.name, label=label, path=entry.path, right=entry.right, system=entry.system)

    def _process(self, saga: Saga[Any]) -> ProcessMetadata:
        wording = self._wording
        return ProcessMetadata(
            name=saga.name,
            label=wording.of("steps", saga.name),
            steps=[Named(step.name, wording.of("steps", f"{saga.name}.{step.name}")) for step in saga.steps],
            step_statuses=statuses(saga.reports, wording, "changes.status"),
            statuses=statuses(saga.reports, wording, "status"),
        )
