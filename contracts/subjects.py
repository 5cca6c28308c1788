"""Subjects: the records that people talk about, put files on and look at (COL-09, UIX-07).

Every kind of record is one, and so are orders.  Whoever may see a record may see what others have said of it; so what
is about a subject needs no owner and no right of its own.
"""

from collections.abc import Mapping

from contracts.records import KINDS

SUBJECT_KIND, SUBJECT_ID = "subject_kind", "subject_id"
"""The fields that name a subject, in commands, events and rows."""

OTHERS: Mapping[str, str] = {"order": "orders.view"}
"""Subjects that are no kind of record: the code of each, and the right to see it."""


def subjects() -> Mapping[str, str]:
    """The code of each kind of subject (`Kind.code`), and the right to see one."""
    return {**{kind.code: kind.view for kind in KINDS.values()}, **OTHERS}
