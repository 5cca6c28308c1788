"""The order in which somebody has looked at records, the latest first: `?sort=-viewed_at` of their list (UIX-10).

What a person has looked at is known by another list, of a hundred records at most (UIX-07).  So no row holds it: these
few are found by their ids and get the moment while they are sorted.  All others follow, as rows without a value do.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bson import Timestamp
from pymongo.database import Database

from chassis.messaging.consistency import Token
from chassis.model.principal import Principal
from chassis.model.views import View
from chassis.queries.cursors import Part
from chassis.queries.freshness import States, as_of
from contracts.lists import VIEWED
from contracts.subjects import SUBJECT_ID, SUBJECT_KIND

Document = dict[str, Any]
Moments = Mapping[str, datetime]
"""When somebody has looked at records last, by the id of each."""
READ_MS = 10_000


class Viewings:
    """The list that tells who has looked at what last."""

    def __init__(self, database: "Database[Document]", view: View, states: States) -> None:
        self._database, self._view, self._states = database, view, states

    def wait(self, token: Token | None) -> None:
        """Return when the list has what the token promises.  Raises Refused UNAVAILABLE when that takes too long."""
        self._states.ready(token)

    def of(self, principal: Principal, kind: str, at: Timestamp | None) -> Moments:
        """What somebody has looked at of a kind of record, as known at a moment."""
        state = self._states.of(at)
        if state is None or principal.user_id is None:
            return {}
        answer = self._database.command(
            "find",
            state["collection"],
            filter={**self._view.found_by("viewer_id", str(principal.user_id)), SUBJECT_KIND: kind},
            readConcern=as_of(at),
            maxTimeMS=READ_MS,
            batchSize=1_000,
            codec_options=self._database.codec_options,
        )
        return {row[SUBJECT_ID]: row[VIEWED] for row in answer["cursor"]["firstBatch"]}


def rows_of(part: Part, moments: Moments) -> list[Document]:
    """The stages that leave the rows of a part of a list that is sorted so."""
    ids = list(moments)
    if part.is_empty:
        return [{"$match": {"_id": {"$nin": ids}}}, {"$match": part.condition}]
    moment = {"$arrayElemAt": [list(moments.values()), {"$indexOfArray": [ids, "$_id"]}]}
    return [{"$match": {"_id": {"$in": ids}}}, {"$set": {VIEWED: moment}}, {"$match": part.condition}]
