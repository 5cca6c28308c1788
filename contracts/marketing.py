"""Campaigns (feature MKT-01), and what is known of the market (MKT-05).  Aggregates: campaign, survey."""

from typing import Literal
from uuid import UUID

from contracts.permissions import LEADERSHIP
from contracts.records import data, record
from contracts.statuses import Statuses, Step
from contracts.types import Day, Money, Name, Note, Text, Whole

CAMPAIGN_STATUSES = Statuses(
    "PLANNED",
    Step("RUNNING", after=("PLANNED",), needs=("starts_on",)),
    Step("ENDED", after=("RUNNING",)),
    Step("CANCELLED", after=("PLANNED", "RUNNING"), reason=True),
    Step("RUNNING", after=("ENDED",), needs=("starts_on",), right=LEADERSHIP, reason=True),
    Step("PLANNED", after=("CANCELLED",), right=LEADERSHIP),
)
"""A campaign that is over goes on only by who leads people; one that was called off is planned anew."""


@record("/campaigns", view="campaigns", edit="campaigns", owned=True, statuses=CAMPAIGN_STATUSES)
class Campaign:
    """What is done to win customers, when, and what it costs (MKT-01)."""

    name: Name
    part_of_id: UUID | None = data(default=None, record="campaign")
    campaign_type: Text = data(default="", dictionary="campaign_types")
    starts_on: Day | None = None
    ends_on: Day | None = None
    budget: Money | None = None
    spent: Money | None = None
    expected_response: Whole | None = None
    description: Note = ""


SurveyTopic = Literal["TRADE_TREND", "COMPETITOR", "CUSTOMER_NEED"]


@record("/surveys", view="campaigns", edit="campaigns")
class Survey:
    """What was found out about the market on a day (MKT-05)."""

    subject: Name
    topic: SurveyTopic
    surveyed_on: Day = data(past=True)
    competitor: Text = data(default="", sortable=True)
    finding: Note = data(default="", searchable=True)
    source: Text = ""
    campaign_id: UUID | None = data(default=None, record="campaign", outlives=True)
