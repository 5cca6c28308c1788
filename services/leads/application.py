"""The leads service: the records it keeps, and how leads go back to their pool."""

from chassis.model.recycling import Recycling
from chassis.model.service import Service
from contracts.leads import Lead, RecycleLeads, RecyclingRule
from contracts.records import kind_of
from services.leads.rules import RecyclingRuleRecord

RECYCLING = Recycling(Lead, kind_of(RecyclingRule), target="LEADS")

SERVICE = Service(
    "leads",
    records=[Lead, RecyclingRuleRecord],
    replicas=RECYCLING.replicas,
    schedules={RecycleLeads: RECYCLING.run},
)
