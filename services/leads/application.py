"""The leads service: the records it keeps, how leads become customers, and how they go back to their pool."""

from chassis.model.recycling import Recycling
from chassis.model.service import Service, Work, change, keep_in_pool, keep_places
from contracts.leads import CloseLead, ConvertLead, RecycleLeads, RecyclingRule, ReopenLead
from contracts.records import kind_of
from services.leads.domain import LeadRecord
from services.leads.rules import RecyclingRuleRecord

RECYCLING = Recycling(LeadRecord, kind_of(RecyclingRule), target="LEADS")


def close_lead(command: CloseLead, work: Work) -> LeadRecord:
    """It takes no place of its owner any more (LED-05), and keeps no pool from being deleted."""
    lead = work.get(LeadRecord, command.lead_id, what="lead", field="lead_id")
    seat, pool = lead.seat, lead.held_by_pool
    lead.close(command)
    keep_places(lead, work, seat, claimed=False)
    keep_in_pool(lead, work, pool, chosen=False)
    return lead


def reopen_lead(command: ReopenLead, work: Work) -> LeadRecord:
    lead = work.get(LeadRecord, command.lead_id, what="lead", field="lead_id")
    lead.reopen(command)
    return lead


SERVICE = Service(
    "leads",
    records=[LeadRecord, RecyclingRuleRecord],
    commands={
        ConvertLead: change(LeadRecord, LeadRecord.convert),
        CloseLead: close_lead,
        ReopenLead: reopen_lead,
    },
    replicas=RECYCLING.replicas,
    schedules={RecycleLeads: RECYCLING.run},
)
