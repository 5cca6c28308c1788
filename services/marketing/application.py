"""The marketing service: the records it keeps."""

from chassis.model.service import Service
from contracts.marketing import Survey
from services.marketing.domain import CampaignRecord

SERVICE = Service("marketing", records=[CampaignRecord, Survey])
