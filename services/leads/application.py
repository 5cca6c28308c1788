"""The leads service: the records it keeps."""

from chassis.model.service import Service
from contracts.leads import Lead

SERVICE = Service("leads", records=[Lead])
