"""What this service does from time to time: it deletes the octets of files that nobody can reach any more."""

from datetime import datetime, timedelta

from chassis.files.port import FileStore
from chassis.store.event_store import EventStore
from contracts.personal import is_erased
from services.collaboration.domain import WAITS, Attachment, Comment, File

UNDER_WAY = timedelta(hours=1)
"""Between the keeping of a file and its registering, and by which clocks may differ."""


def sweep(store: EventStore, files: FileStore, now: datetime) -> int:
    """Delete what is on no record and can't be put on one any more; returns how many files.

    So an upload whose command failed, a file that was never attached, one that was taken away, and those on records
    of a person who was erased (CPL-01) are gone.
    """
    gone = [kept.id for kept in files.kept() if not _is_needed(store.load(File, kept.id), store, kept.since, now)]
    for id in gone:
        files.delete(id)
    return len(gone)


def _is_needed(file: File | None, store: EventStore, since: datetime, now: datetime) -> bool:
    if file is None or file.attachment_id is None:
        return now - since < WAITS + UNDER_WAY
    attachment = store.load(Attachment, file.attachment_id)
    if attachment is None:
        return True  # it is for `verify` to say what is wrong with the store
    return is_there(store, attachment) and not (attachment.person_id and is_erased(attachment.person_id))


def is_there(store: EventStore, attachment: Attachment) -> bool:
    """Whether a file is on its record, or on a comment that is there.

    Former releases took away a comment and left its files.
    """
    comment = store.load(Comment, attachment.comment_id) if attachment.comment_id else None
    return attachment.is_on(comment)
