"""The part of MongoDB that views need: documents, updates, and transactions that are all or nothing.

Operations are pymongo's own; what this database does not know it refuses loudly.  A transaction that writes what
another has written since it began, or is writing, fails with WriteConflict, and the driver's rules of repetition apply.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, TypeVar

from bson import Decimal128
from pymongo import DeleteOne, ReplaceOne, UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure, PyMongoError

from .scheduler import Scheduler

T = TypeVar("T")
Document = dict[str, Any]
Place = tuple[str, Any]  # collection, _id

TRANSIENT = "TransientTransactionError"
UNKNOWN = "UnknownTransactionCommitResult"
PATIENCE_SECONDS = 120.0


def copied(value: Any) -> Any:
    """A value that shares nothing that can change."""
    if isinstance(value, dict):
        return {name: copied(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [copied(inner) for inner in value]
    if value is None or isinstance(value, (str, bytes, int, float, datetime, Decimal128)):
        return value
    raise TypeError(f"MongoDB takes no {type(value).__name__}")


def lost(label: str) -> AutoReconnect:
    """The connection is lost; the label says what the driver makes of it."""
    error = AutoReconnect("connection closed")
    error._add_error_label(label)
    return error


class Session:
    """One client's session; its writes are seen by others when it commits."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self.began = 0
        self.writes: dict[Place, Document | None] = {}

    def with_transaction(self, callback: Callable[["Session"], T], **_: Any) -> T:
        """The driver's way: repeat what may work when it is repeated, for two minutes."""
        scheduler = self._database.scheduler
        deadline = scheduler.now + PATIENCE_SECONDS
        while True:
            self.began = self._database.commits
            try:
                result = callback(self)
                self._commit()
                return result
            except BaseException as error:
                self._abort()
                may_repeat = isinstance(error, PyMongoError) and error.has_error_label(TRANSIENT)
                if not may_repeat or scheduler.now > deadline:
                    raise
                scheduler.note(f"transaction repeated: {error!r}")
                scheduler.wait(scheduler.random.random() * 0.1)

    def _commit(self) -> None:
        database = self._database
        database.scheduler.point("before view commit")
        database.fail("before")
        database.commits += 1
        for (collection, id), document in self.writes.items():
            database.put(collection, id, document)
        database.scheduler.note(f"views committed {len(self.writes)} documents")
        self.writes = {}
        database.scheduler.point("after view commit")
        database.fail("after")

    def _abort(self) -> None:
        self.writes = {}


class Database:
    """A database.  It survives the processes that use it."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.commits = 0
        self._collections: dict[str, dict[Any, Document]] = {}
        self._written: dict[Place, int] = {}  # by which commit
        self._open: list[Session] = []
        self.client = SimpleNamespace(start_session=self._session)

    @contextmanager
    def _session(self) -> Iterator[Session]:
        made = Session(self)
        self._open.append(made)
        try:
            yield made
        finally:
            self._open.remove(made)

    def __getitem__(self, name: str) -> "Collection":
        return Collection(self, name)

    def list_collection_names(self) -> list[str]:
        return list(self._collections)

    def create_collection(self, name: str, *, check_exists: bool) -> None:
        assert not check_exists
        if name in self._collections:
            raise OperationFailure(f"Collection {name} already exists.", 48)
        self._collections[name] = {}

    def drop_collection(self, name: str) -> None:
        self.commits += 1
        for id in self._collections.pop(name, {}):
            self._written[name, id] = self.commits

    # -- for collections and sessions

    def fail(self, when: str) -> None:
        """Fail now and then.  What happens before the work can be repeated; after it, nobody knows."""
        if self.scheduler.chance(self.scheduler.faults.view_error):
            self.scheduler.note(f"MongoDB goes away {when} the work")
            labels = (UNKNOWN,) if when == "after" else (TRANSIENT, "")  # the driver gives up now and then
            raise lost(self.scheduler.random.choice(labels))

    def documents(self, collection: str) -> dict[Any, Document]:
        return self._collections.setdefault(collection, {})

    def put(self, collection: str, id: Any, document: Document | None) -> None:
        self._written[collection, id] = self.commits
        if document is None:
            self.documents(collection).pop(id, None)
        else:
            self.documents(collection)[id] = document

    def claim(self, place: Place, session: Session) -> None:
        """Raises WriteConflict unless the session may write there."""
        taken = any(place in other.writes for other in self._open if other is not session)
        if taken or self._written.get(place, 0) > session.began:
            raise OperationFailure("WriteConflict", 112, {"errorLabels": [TRANSIENT]})

    def await_transaction(self, place: Place) -> None:
        """Wait until no transaction that is under way has written there."""
        self.scheduler.wait(PATIENCE_SECONDS, lambda: not any(place in session.writes for session in self._open))


class Found:
    """What `find` answers."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._documents = iter(documents)

    def sort(self, name: str) -> "Found":
        return Found(sorted(self._documents, key=lambda document: str(document[name])))

    def __iter__(self) -> Iterator[Document]:
        return self._documents

    def __next__(self) -> Document:
        return next(self._documents)


class Collection:
    """A collection, as far as the chassis uses one."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name

    # -- reading

    def find(
        self,
        condition: Mapping[str, Any] | None = None,
        projection: Mapping[str, Any] | None = None,
        session: Session | None = None,
    ) -> Found:
        """The documents, whole whatever the projection says.

        One whose session has written what it may find would not find that: it refuses.
        """
        if session and any(collection == self._name for collection, _ in session.writes):
            raise NotImplementedError(f"reading {self._name} after writing it in one transaction")
        self._database.scheduler.point("reading views", self._name)
        return Found([copied(document) for document in self._matching(condition or {})])

    def find_one(self, condition: Mapping[str, Any]) -> Document | None:
        return next(self.find(condition), None)

    def estimated_document_count(self) -> int:
        return len(self._database.documents(self._name))

    def _matching(self, condition: Mapping[str, Any]) -> Iterator[Document]:
        documents = self._database.documents(self._name)
        if isinstance(condition.get("_id"), str):
            documents = {id: found for id in [condition["_id"]] if (found := documents.get(id)) is not None}
        return (document for document in list(documents.values()) if matches(document, condition))

    # -- writing

    def index_information(self) -> dict[str, Any]:
        return {}  # made-up collections have none, and need none

    def create_indexes(self, models: Any) -> None:
        """Indexes change nothing here."""

    def bulk_write(self, operations: Sequence[Any], session: Session | None = None) -> Any:
        """Do these writes; inside a transaction nobody sees them before it commits."""
        database = self._database
        database.scheduler.point("in view commit" if session else "writing views", self._name)
        if database.scheduler.chance(database.scheduler.faults.view_error):
            raise lost(TRANSIENT)
        matched = 0
        for number, operation in enumerate(operations):
            try:
                matched += self._apply(operation, session)
            except UpdateRefused as refusal:
                error = {"index": number, "code": refusal.code, "errmsg": str(refusal)}
                raise BulkWriteError({"writeErrors": [error]}) from refusal
        return SimpleNamespace(matched_count=matched)

    def update_one(self, condition: Mapping[str, Any], update: Mapping[str, Any], upsert: bool = False) -> Any:
        return self.bulk_write([UpdateOne(condition, update, upsert=upsert)])

    def update_many(self, condition: Mapping[str, Any], update: Mapping[str, Any]) -> Any:
        return self.bulk_write([UpdateOne({"_id": found["_id"]}, update) for found in self._matching(condition)])

    def replace_one(self, condition: Mapping[str, Any], document: Document) -> Any:
        return self.bulk_write([ReplaceOne(condition, document)])

    def delete_one(self, condition: Mapping[str, Any]) -> Any:
        return self.bulk_write([DeleteOne(condition)])

    def _apply(self, operation: Any, session: Session | None) -> int:
        condition = operation._filter
        id = condition["_id"]
        held = self._held(id, session)
        if held is not None and not matches(held, condition):
            held = None
            if not getattr(operation, "_upsert", False):
                return 0
            raise UpdateRefused(11000, "duplicate key")
        match operation:
            case DeleteOne():
                self._write(id, None, session)
            case ReplaceOne():
                if held is not None or operation._upsert:
                    self._write(id, {"_id": id, **copied(operation._doc)}, session)
            case UpdateOne():
                if held is not None or operation._upsert:
                    self._write(id, updated(held, id, operation._doc), session)
            case _:
                raise NotImplementedError(type(operation).__name__)
        return int(held is not None)

    def _held(self, id: Any, session: Session | None) -> Document | None:
        place = (self._name, id)
        if session is None:
            self._database.await_transaction(place)
            return self._database.documents(self._name).get(id)
        self._database.claim(place, session)
        return session.writes[place] if place in session.writes else self._database.documents(self._name).get(id)

    def _write(self, id: Any, document: Document | None, session: Session | None) -> None:
        if session is not None:
            session.writes[self._name, id] = document
            return
        self._database.commits += 1
        self._database.put(self._name, id, document)


class UpdateRefused(Exception):
    """MongoDB would refuse this write."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def matches(document: Document, condition: Mapping[str, Any]) -> bool:
    """Equality, $in and $exists."""
    for path, wanted in condition.items():
        *names, name = path.split(".")
        parent: Any = document
        for step in names:
            parent = parent.get(step, {})
        value = parent.get(name)
        if isinstance(wanted, dict):
            if wanted == {"$exists": True}:
                if name not in parent:
                    return False
            elif set(wanted) != {"$in"}:
                raise NotImplementedError(f"condition {wanted}")
            elif value not in wanted["$in"]:
                return False
        elif value != wanted:
            return False
    return True


def updated(held: Document | None, id: Any, update: Any) -> Document:
    """A document after its operators ($set, $inc, ...).  Raises UpdateRefused for what MongoDB refuses."""
    if isinstance(update, list):
        return _piped(copied(held) if held is not None else {"_id": id}, update)
    paths = [path for part in update.values() for path in part]
    if conflict := next((path for path in paths if _conflicts(path, paths)), None):
        raise UpdateRefused(40, f"Updating the path '{conflict}' would create a conflict")
    document: Document = copied(held) if held is not None else {"_id": id}
    for operator, changes in update.items():
        if operator == "$setOnInsert" and held is not None:
            continue
        for path, value in changes.items():
            parent, name = _parent(document, path)
            parent[name] = _changed(operator, parent.get(name), value)
    return document


def _piped(document: Document, stages: Sequence[Mapping[str, Any]]) -> Document:
    """A document after an aggregation pipeline of $set stages; each works on what the one before has left."""
    for stage in stages:
        if set(stage) != {"$set"}:
            raise NotImplementedError(f"stage {stage}")
        worked_out = {path: _evaluated(document, expression) for path, expression in stage["$set"].items()}
        for path, value in worked_out.items():
            if value is not MISSING:
                parent, name = _parent(document, path)
                parent[name] = copied(value)
    return document


MISSING = object()


def _evaluated(document: Document, expression: Any) -> Any:
    """An aggregation expression, as far as views use them."""
    if isinstance(expression, str) and expression.startswith("$"):
        value: Any = document
        for name in expression[1:].split("."):
            value = value.get(name, MISSING) if isinstance(value, dict) else MISSING
        return value
    if not isinstance(expression, dict):
        return expression
    [(operator, given)] = expression.items()
    if operator == "$literal":
        return given
    found = [_evaluated(document, one) for one in given]
    match operator:
        case "$ifNull":
            return found[1] if found[0] is MISSING or found[0] is None else found[0]
        case "$gte":
            return found[0] >= found[1]
        case "$cond":
            return found[1] if found[0] else found[2]
        case "$max":
            return max(one for one in found if one is not MISSING)
    raise NotImplementedError(operator)


def _conflicts(path: str, paths: Iterable[str]) -> bool:
    same = [other for other in paths if other == path or other.startswith(f"{path}.")]
    return len(same) > 1


def _parent(document: Document, path: str) -> tuple[Document, str]:
    *names, last = path.split(".")
    for name in names:
        document = document.setdefault(name, {})
        if not isinstance(document, dict):
            raise UpdateRefused(28, f"Cannot create field in element {{{name}: {document!r}}}")
    return document, last


def _changed(operator: str, old: Any, value: Any) -> Any:
    match operator:
        case "$set" | "$setOnInsert":
            return copied(value)
        case "$inc":
            return _sum(0 if old is None else old, value)
        case "$max":
            return value if old is None else max(old, value)
        case "$min":
            return value if old is None else min(old, value)
        case "$push":
            if not isinstance(old, list | None):
                raise UpdateRefused(2, "The field must be an array")
            return _pushed([*(old or []), *copied(value["$each"])], value)
    raise NotImplementedError(operator)


def _pushed(entries: list[Document], how: Mapping[str, Any]) -> list[Document]:
    """A list with its new entries, in the order and of the length that the push wants."""
    if set(how) - {"$each", "$sort", "$slice"} or set(how.get("$sort", {}).values()) - {1} or how.get("$slice", -1) > 0:
        raise NotImplementedError(f"$push {how}")
    if names := list(how.get("$sort", {})):
        entries.sort(key=lambda entry: [entry[name] for name in names])
    return entries[how["$slice"] :] if "$slice" in how else entries


def _sum(old: Any, more: Any) -> Any:
    if isinstance(old, Decimal128) or isinstance(more, Decimal128):
        return Decimal128(_decimal(old) + _decimal(more))
    if not isinstance(old, int | float):
        raise UpdateRefused(14, f"Cannot apply $inc to a value of non-numeric type {type(old).__name__}")
    return old + more


def _decimal(value: Any) -> Decimal:
    return value.to_decimal() if isinstance(value, Decimal128) else Decimal(value)
