"""The configuration service: its commands, one line each, and what it knows of the records of others."""

from chassis.model.service import Service, upsert
from contracts.configuration import AddDictionaryEntry, DeleteDictionaryEntry, EditDictionaryEntry
from services.configuration.dictionaries import Dictionary
from services.configuration.domain.custom_fields import CustomFields
from services.configuration.domain.saved_views import SavedView
from services.configuration.doubles import OWN_VALUES
from services.configuration.fields import COMMANDS as OF_FIELDS
from services.configuration.uses import USES, delete_entry
from services.configuration.views_of_lists import COMMANDS as OF_VIEWS

SERVICE = Service(
    "configuration",
    commands={
        AddDictionaryEntry: upsert(Dictionary, Dictionary.add),
        EditDictionaryEntry: upsert(Dictionary, Dictionary.edit),
        DeleteDictionaryEntry: delete_entry,
        **OF_FIELDS,
        **OF_VIEWS,
    },
    replicas=[USES, *OWN_VALUES.values()],
    pages={
        "/custom-fields/{kind}": CustomFields,
        "/dictionary-entries/{entry_key}": Dictionary,
        "/saved-views/{saved_view_id}": SavedView,
    },
)
