"""What consumers have set aside: why something may be missing where it should be."""

from dataclasses import dataclass, field

from chassis.foundation.config import Config
from chassis.messaging.dead_letters import Origin, origin_of, read_whole_topic
from chassis.messaging.kafka import dead_letter_topic
from chassis.messaging.provenance import DROP, REASON, RESOLVES
from chassis.messaging.records import Incoming


@dataclass
class SetAside:
    """The dead letters of each group, as they stand on its topic."""

    config: Config
    _records: dict[str, list[Incoming]] = field(default_factory=dict)

    def _of(self, group: str) -> list[Incoming]:
        if group not in self._records:
            self._records[group] = list(read_whole_topic(self.config, dead_letter_topic(group)))
        return self._records[group]

    def ids(self, group: str) -> set[str]:
        """The ids (of events or commands) that were ever set aside."""
        return {record.id for record in self._of(group) if REASON in record.headers}

    def waiting(self, group: str) -> list[Incoming]:
        """The letters that nobody has resolved, the newest of each record: two may have been written of one."""
        letters: dict[Origin, Incoming] = {}
        for record in self._of(group):
            if RESOLVES in record.headers:
                letters.pop(origin_of(record), None)
            elif REASON in record.headers:
                letters[origin_of(record)] = record
        return list(letters.values())

    def dropped(self, group: str) -> set[tuple[str, int]]:
        """Source and offset of the records that operators have given up."""
        return {
            (
                f"{record.headers.get('dlq-topic')}:{record.headers.get('dlq-partition')}",
                int(record.headers["dlq-offset"]),
            )
            for record in self._of(group)
            if DROP in record.headers
        }
