"""The commands with which a company adds fields to its kinds of records, and changes them (CFG-01, CFG-02)."""

from chassis.model.service import upsert
from contracts.configuration import AddCustomField, ChangeCustomField, RestoreCustomField, RetireCustomField
from services.configuration.domain.custom_fields import CustomFields
from services.configuration.doubles import changing

COMMANDS = {
    AddCustomField: upsert(CustomFields, CustomFields.add),
    ChangeCustomField: changing(CustomFields.change),
    RetireCustomField: upsert(CustomFields, CustomFields.retire),
    RestoreCustomField: changing(CustomFields.restore),
}
