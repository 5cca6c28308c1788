"""The configuration service: its commands, one line each."""

from chassis.model.service import Service
from services.configuration.fields import COMMANDS as OF_FIELDS

SERVICE = Service("configuration", commands={**OF_FIELDS})
