"""How often things go wrong in a run.  Every seed draws its own mixture: some runs are calm, some are terrible."""

from dataclasses import dataclass, fields
from random import Random


@dataclass
class Faults:
    """Chances from 0 to 1 at each place where the thing can happen; `outage` is per second of virtual time."""

    crash: float = 0.0  # a process dies at a numbered point
    store_error: float = 0.0  # an event store fails, before or after it has done what was asked
    view_error: float = 0.0  # MongoDB fails, before or after
    lost_answer: float = 0.0  # the answer to a client gets lost
    late_ack: float = 0.0  # Kafka's acknowledgement comes seconds later
    outage: float = 0.0  # Kafka goes away for seconds
    stop: float = 0.0  # somebody stops a process in good order, per second

    @classmethod
    def draw(cls, random: Random) -> "Faults":
        """A mixture.  One run in ten has no faults at all."""
        if random.random() < 0.1:
            return cls()
        return cls(
            crash=random.choice((0.0, 0.001, 0.004, 0.01)),
            store_error=random.choice((0.0, 0.01, 0.05)),
            view_error=random.choice((0.0, 0.01, 0.05)),
            lost_answer=random.choice((0.0, 0.1, 0.3)),
            late_ack=random.choice((0.0, 0.05, 0.3)),
            outage=random.choice((0.0, 0.0, 0.02)),
            stop=random.choice((0.0, 0.0, 0.05)),
        )

    def off(self) -> None:
        """Everything works from now on."""
        for item in fields(self):
            setattr(self, item.name, 0.0)
