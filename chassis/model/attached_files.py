"""Files as values of fields that a company has added (CFG-01): each names a file that is on the record itself.

A file is put on a record first (`POST /files`, `POST /attachments`), so it has its name, its rights and its end there;
the value is the attachment's id.  What a service knows of the files on its own records decides which may be named.
"""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from chassis.model.known_records import place_of
from contracts.custom_fields import OWN, read


@dataclass(frozen=True)
class AttachedFile:
    """A file on a record: the place of that record (`chassis.model.known_records.place_of`)."""

    place: str

    @classmethod
    def on(cls, kind: str, id: UUID) -> Self:
        return cls(place_of(kind, id))

    def is_on(self, kind: str, id: UUID) -> bool:
        return self.place == place_of(kind, id)


def files_of(own: str) -> dict[str, UUID]:
    """The files that a record's own values name, by the path of the field."""
    return {f"{OWN}.{key}": UUID(str(held.value)) for key, held in read(own).items() if held.type == "file"}
