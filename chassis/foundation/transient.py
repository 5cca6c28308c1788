"""Which failures may be gone when the same is tried again.

Only what is known to pass is in this list: a server that is away, elects a leader or does not let us in, a lock, a
full disk, another process that was first.  Whatever else fails, fails again with the same record, so the record is
set aside: one record never holds up the others.
"""

import sqlite3

import psycopg
from eventsourcing.persistence import (
    ConnectionPoolClosedError,
    ConnectionUnavailableError,
    InterfaceError,
    InternalError,
    OperationalError,
    WaitInterruptedError,
)
from kafka.errors import (
    CorruptRecordError,
    InvalidRecordError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnsupportedCodecError,
)
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
    WTimeoutError,
)

from contracts.errors import Refused

PASSING_REFUSALS = frozenset({"OVERLOADED", "UNAVAILABLE"})
"""What a writer answers when it could not even try."""

PASSING = (
    OSError,  # connections, timeouts, files and disks
    MemoryError,
    OperationalError,
    InterfaceError,
    InternalError,
    WaitInterruptedError,
    ConnectionPoolClosedError,
    ConnectionUnavailableError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    sqlite3.OperationalError,
    KafkaError,
    ConnectionFailure,
    ConfigurationError,
    ExecutionTimeout,
    WTimeoutError,
    WaitQueueTimeoutError,
)

FAULTS_OF_RECORDS = (
    CorruptRecordError,
    InvalidRecordError,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnsupportedCodecError,
)
"""What Kafka or its client says of a record; all else that it says is about itself."""

LABELS = ("TransientTransactionError", "UnknownTransactionCommitResult", "RetryableWriteError", "RetryableError")
MONGODB_CODES = frozenset(
    {
        *(6, 7, 89, 91, 189, 202, 262, 9001, 10107, 11600, 11602, 13435, 13436),  # away, or another primary
        *(24, 46, 50, 112, 225, 246, 251, 290),  # locks, conflicts and transactions that took too long
        *(13, 18, 8000),  # it does not let us in
        *(14031, 39),  # its disk is full, or can't be written
        *(133, 134, 64, 100, 79),  # too few members answer
    }
)
"""https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml"""


def is_transient(error: BaseException) -> bool:
    """Whether the same may work later.  For several errors at once: whether one of them is so."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_transient(one) for one in error.exceptions)
    if isinstance(error, Refused):
        return error.code in PASSING_REFUSALS
    if isinstance(error, PyMongoError) and any(error.has_error_label(label) for label in LABELS):
        return True
    if isinstance(error, OperationFailure) and _codes(error) & MONGODB_CODES:
        return True
    return isinstance(error, PASSING) and not isinstance(error, FAULTS_OF_RECORDS)


def _codes(error: OperationFailure) -> set[int | None]:
    """The code of an error of MongoDB, and those of the single writes of a bulk."""
    details = error.details or {}
    return {error.code, *(item.get("code") for item in details.get("writeErrors", ()))}
