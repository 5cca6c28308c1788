"""Whom does one speak to at a customer, and which of them were leads?  (CUS-18, LED-13)"""

from chassis.model.record_views import More, view_of
from contracts.customers import Contact, ContactCameFromLead
from contracts.leads import Lead
from contracts.records import kind_of
from services.reports.views.customers import NO_LEAD, OriginColumns, came_from_lead

VIEW = view_of(
    Contact,
    More(
        OriginColumns,
        first=NO_LEAD,
        told={ContactCameFromLead: came_from_lead},
        parents={"lead_id": kind_of(Lead).what},
    ),
    edition=4,
)
