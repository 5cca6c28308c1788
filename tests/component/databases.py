"""Databases of MongoDB that tests use one after another: making the indexes of all views takes two seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from pymongo.database import Database

from chassis.foundation.config import Config
from chassis.projections.collections import connect

Made = Database[dict[str, Any]]


class Databases:
    """Hands out empty databases.  Collections, indexes and connections of one that was given back stay."""

    def __init__(self, mongodb_uri: str) -> None:
        self._config = Config(mongodb_uri=mongodb_uri)
        self._free: list[Made] = []
        self._all: list[Made] = []

    def take(self) -> Made:
        """One that is empty, though its collections may be there."""
        if self._free:
            return self._free.pop()
        self._all.append(connect(replace(self._config, mongodb_database=f"test_{uuid4().hex}")))
        return self._all[-1]

    def give_back(self, database: Made) -> None:
        """Empty what every projector makes, and drop what a rebuild has made beside it."""
        for name in database.list_collection_names():
            if "__" in name:
                database.drop_collection(name)
            else:
                database[name].delete_many({})
        self._free.append(database)

    def close(self) -> None:
        for database in self._all:
            database.client.drop_database(database.name)
            database.client.close()
