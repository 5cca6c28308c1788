"""The marketing service: the records it keeps."""

from chassis.model.service import Service
from contracts.marketing import Survey

SERVICE = Service("marketing", records=[Survey])
