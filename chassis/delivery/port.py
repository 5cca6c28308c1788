"""The ways by which something leaves Salestream for a person, as whoever sends knows them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from contracts.errors import Portable


@dataclass(frozen=True)
class Outgoing:
    """What is to be sent: the same however often it is tried.

    `to` is an address, or a number, as the way has it; `id` is what a receiver may know a repeat by.
    """

    id: UUID
    to: str
    subject: str
    text: str
    language: str
    written_at: datetime


class NotSent(Portable):
    """It was not sent.  `reason` is a code that tells of no person; `for_good`: no later try will do."""

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.for_good = for_good


class Carrier(Protocol):
    """One way, such as mail.  It returns when whoever takes it has taken it over."""

    def send(self, outgoing: Outgoing) -> None:
        """Raises NotSent."""


class NotSetUp:
    """A way for which there are no settings."""

    def send(self, outgoing: Outgoing) -> None:
        raise NotSent("NOT_SET_UP", for_good=True)
