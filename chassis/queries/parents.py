"""What the records are called that the rows of a list name: looked up when a page is read, for whoever sees them.

So a name is that of now, nobody learns it who may not see the record itself, and it is gone with the record's own.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from bson import Timestamp

from chassis.model.principal import Principal

Document = dict[str, Any]
Names = Mapping[str, Mapping[str, str]]
"""What the records are called that a field holds the ids of: field -> id -> name."""


class Named(Protocol):
    """What reads the records of a kind (`chassis.queries.reader.ViewReader`)."""

    def names_of(self, ids: Iterable[str], principal: Principal, at: Timestamp | None) -> Mapping[str, str]: ...


def names_in(
    documents: Iterable[Document], parents: Mapping[str, Named], principal: Principal, at: Timestamp | None
) -> Names:
    """What the records are called that some documents name, by the field that does; one look for each field."""
    documents = list(documents) if parents else []
    found: dict[str, Mapping[str, str]] = {}
    for name, reader in parents.items():
        ids = sorted({document[name] for document in documents if document.get(name)})
        found[name] = reader.names_of(ids, principal, at) if ids else {}
    return found
