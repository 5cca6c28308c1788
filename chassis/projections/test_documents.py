"""Changes become MongoDB writes: those of one document are joined where MongoDB allows it."""

from datetime import UTC, datetime
from decimal import Decimal

from bson import Decimal128
from pymongo import DeleteOne, ReplaceOne, UpdateOne

from chassis.model.changes import Add, Append, EventMetadata, Put, Remove, Set
from chassis.projections.documents import Write, operations

AT = datetime(2026, 3, 2, tzinfo=UTC)
LAST = {"_event": "a/1", "_event_at": AT}
EVENT = EventMetadata("a/1", "type", AT, "orders.events:0", 1, "")


def writes(*changes: Put | Set | Add | Append | Remove) -> list[Write]:
    return operations((change, EVENT) for change in changes)


def entry(n: int, number: int) -> dict[str, int]:
    return {"n": n, "_position": 1, "_entry": number}


def test_set_add_and_append_of_one_document_are_one_update() -> None:
    changes = (Set("k", a=1), Append("k", "list", n=1), Add("k", {"sum": Decimal("1.10")}), Set("k", a=2, b="x"))
    more = (Append("k", "list", n=2), Add("k", {"sum": Decimal("0.90")}, about={"day": "d"}))
    update = {
        "$set": {"a": 2, "b": "x", "day": "d", **LAST},
        "$inc": {"sum": Decimal128("2.00"), "_totals.list": 2},
        "$push": {
            "list": {"$each": [entry(1, 0), entry(2, 1)], "$sort": {"_position": 1, "_entry": 1}, "$slice": -200}
        },
    }
    assert writes(*changes, *more) == [UpdateOne({"_id": "k"}, update, upsert=True)]


def test_changes_of_other_documents_stay_apart_and_in_order() -> None:
    assert writes(Set("k", a=1), Set("other", a=2), Set("k", b=3)) == [
        UpdateOne({"_id": "k"}, {"$set": {"a": 1, "b": 3, **LAST}}, upsert=True),
        UpdateOne({"_id": "other"}, {"$set": {"a": 2, **LAST}}, upsert=True),
    ]


def test_a_path_and_its_parent_are_two_updates() -> None:
    assert writes(Set("k", shipment={"status": "PREPARED"}), Set("k", **{"shipment.status": "LEFT"})) == [
        UpdateOne({"_id": "k"}, {"$set": {"shipment": {"status": "PREPARED"}, **LAST}}, upsert=True),
        UpdateOne({"_id": "k"}, {"$set": {"shipment.status": "LEFT", **LAST}}, upsert=True),
    ]


def test_one_path_in_two_operators_is_two_updates() -> None:
    assert len(writes(Set("k", n=1), Add("k", {"n": 1}))) == 2
    assert len(writes(Append("k", "n", a=1), Set("k", n=[]))) == 2
    assert len(writes(Add("k", {"n": 1}), Append("k", "n.list", a=1))) == 2


def test_put_and_remove_make_earlier_changes_pointless() -> None:
    assert writes(Set("k", a=1), Put("k", {"b": 2}), Set("k", c=3)) == [
        ReplaceOne({"_id": "k"}, {"b": 2, **LAST}, upsert=True),
        UpdateOne({"_id": "k"}, {"$set": {"c": 3, **LAST}}, upsert=True),
    ]
    assert writes(Set("k", a=1), Remove("k")) == [DeleteOne({"_id": "k"})]
