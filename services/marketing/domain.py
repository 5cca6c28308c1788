"""What a campaign may be (MKT-01)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from chassis.model.context import Context
from chassis.model.records import Record
from contracts.errors import Refused
from contracts.marketing import Campaign
from contracts.records import kind_of


@dataclass
class CampaignRecord(Record):
    """A campaign, whose it is, and how far it has come."""

    kind = kind_of(Campaign)

    def check(self, data: Campaign, given: Collection[str], context: Context, settings: Any) -> None:
        """Raises Refused VALIDATION for a campaign that ends before it starts."""
        if data.starts_on and data.ends_on and data.ends_on < data.starts_on:
            field = "ends_on" if "ends_on" in given else "starts_on"
            raise Refused("marketing.ends_before_start", starts_on=data.starts_on, ends_on=data.ends_on, field=field)
