"""What is known of the market (feature MKT-05).  Aggregate: survey."""

from typing import Literal

from contracts.records import data, record
from contracts.types import Day, Name, Note, Text

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
