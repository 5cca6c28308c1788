"""What names a record: a UUID, or for the few that have one a name."""

from dataclasses import dataclass
from functools import cached_property
from uuid import NAMESPACE_URL, UUID, uuid5


@dataclass(frozen=True)
class Named:
    """A record that has a name instead of an id (settings, a role).  `kind` is the key field of its commands.

    Names of one kind never meet those of another.  They once did: a record that stands under its `earlier` id, and is
    of the right class, is still found there.
    """

    kind: str
    name: str

    @cached_property
    def id(self) -> UUID:
        """Under which its stream stands."""
        return uuid5(NAMESPACE_URL, f"salestream:{self.kind}:named:{self.name}")

    @cached_property
    def earlier(self) -> UUID:
        """Under which it stands if it was written before ids told kinds apart."""
        return uuid5(NAMESPACE_URL, f"salestream:named:{self.name}")


RecordId = UUID | Named


def record_id(kind: str, key: UUID | str) -> RecordId:
    """What names the record of a command: the value of its key field, of which `kind` is the name."""
    return key if isinstance(key, UUID) else Named(kind, key)


def stream_id(record: RecordId) -> UUID:
    """The id of a record's stream, if it is a new one."""
    return record.id if isinstance(record, Named) else record


def id_on_page(id: str) -> UUID:
    """The id of a record that a page shows under `id`; of one that has a name, one that no record has."""
    try:
        return UUID(id)
    except ValueError:
        return Named("page", id).id
