"""Rows about other records: shown to whom the list of such records shows the record itself (`View.of_subject`).

So rights, owners, deletion, and whatever else will decide who sees a record hold for what is said about it, at once and
without a line: nothing of them is stored with the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.subjects import SUBJECT_ID, SUBJECT_KIND

Document = dict[str, Any]


@dataclass(frozen=True)
class SeenSubject:
    """Where the records of a kind are, and the condition for those that the caller sees."""

    collection: str
    condition: Mapping[str, Any]


def of_seen(seen: Mapping[str, SeenSubject]) -> Sequence[Document]:
    """The stages that leave of some rows those whose subject the caller sees.

    One look by id for each row and kind: a row has a subject of one kind, and is not found in the others.  The
    condition comes after the look: within it MongoDB may take an index of the condition, and read all records for
    each row.
    """
    stages: list[Document] = [{"$match": {SUBJECT_KIND: {"$in": list(seen)}}}]
    found: list[Document] = []
    for number, (kind, subject) in enumerate(seen.items()):
        place = f"_seen_{number}"
        stages.append(
            {
                "$lookup": {
                    "from": subject.collection,
                    "localField": SUBJECT_ID,
                    "foreignField": "_id",
                    "as": place,
                }
            }
        )
        found.append({SUBJECT_KIND: kind, place: {"$elemMatch": dict(subject.condition)}})
    if not found:
        return stages  # of no kind: no row is left
    return [*stages, {"$match": {"$or": found}}, {"$unset": [f"_seen_{number}" for number in range(len(seen))]}]
