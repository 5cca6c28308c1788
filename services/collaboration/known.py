"""What every service with records knows of files: which are on its own, so that fields may name them (CFG-01)."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from chassis.access.known import Known
from chassis.model.attached_files import AttachedFile
from chassis.model.service import FILES_ON_RECORDS, Replica
from contracts.collaboration import AttachmentDeleted, FileAttached

Feed = Callable[[AttachedFile | None, Any], AttachedFile | None]


def files_on_records(kinds: Collection[str]) -> Replica[AttachedFile]:
    """The files on records of these kinds, by the id of the attachment."""
    feeds: Mapping[type, Feed] = {FileAttached: partial(attached, kinds), AttachmentDeleted: taken_away}
    return replace(FILES_ON_RECORDS, feeds=feeds, key=lambda fact: str(fact.attachment_id))


def attached(kinds: Collection[str], _: AttachedFile | None, fact: FileAttached) -> AttachedFile | None:
    """Those on a comment go with it, and are no values."""
    if fact.subject_kind not in kinds or fact.comment_id is not None:
        return None
    return AttachedFile.on(fact.subject_kind, fact.subject_id)


def taken_away(_row: AttachedFile | None, _: AttachmentDeleted) -> None:
    return None


KNOWN = Known(of_records=files_on_records)
