"""Kafka's jars: fetched once per machine from a Maven repository, checked, and shared by all checkouts.

`jgo` resolves and downloads without Maven. Its downloads are not atomic, so they go into a staging
repository; a jar is used only if its checksum is the one in `kafka_jars.sha256`, and the folder of jars
appears in one step, when it is complete.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from deploy.devstack.errors import DevstackError, DownloadFailed, MissingPackage
from deploy.devstack.server import hold_lock

KAFKA_VERSION = "4.1.1"
LOG4J_VERSION = "2.24.3"
MAVEN_CENTRAL = "https://repo.maven.apache.org/maven2"
# The "!" keeps the versions that log4j manages for its own tests (an old kafka-clients!) away from Kafka.
COORDINATES = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
    f"+org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J_VERSION}!"
    f"+org.apache.logging.log4j:log4j-core:{LOG4J_VERSION}!"
)
CHECKSUMS = Path(__file__).with_name("kafka_jars.sha256")
ATTEMPTS = 4


def kafka_jars(cache: Path, repository: str) -> Path:
    """The folder with all jars of the class path; downloads about 45 MB if this machine has none yet."""
    folder = cache / f"kafka-{KAFKA_VERSION}"
    if folder.exists():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / "lock").open("w")
    except OSError as error:
        raise DevstackError(
            f"Cannot write in {cache}: {error.strerror}. Set DEVSTACK_CACHE to a folder of yours."
        ) from error
    with lock:
        hold_lock(lock.fileno(), "Kafka is being downloaded by another command")
        if not folder.exists():
            _fill(folder, cache / "maven", repository)
    return folder


def _fill(folder: Path, staging: Path, repository: str) -> None:
    attempts = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=0.5, max=5),
        retry=retry_if_exception_type(DownloadFailed),
        reraise=True,
    )
    jars = attempts(_download, staging, repository)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="kafka-") as temporary:
            complete = Path(temporary) / "jars"
            complete.mkdir()
            for jar in jars:
                shutil.copy2(jar, complete)
            complete.rename(folder)
        shutil.rmtree(staging)
    except OSError as error:
        raise DevstackError(f"Cannot store Kafka's jars in {folder}: {error.strerror}.") from error


def _download(staging: Path, repository: str) -> list[Path]:
    """One attempt. What arrived completely is kept for the next one."""
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415 - slow, and needed once per machine
        from jgo.parse import Endpoint  # noqa: PLC0415
    except ImportError as error:
        raise MissingPackage(
            "Kafka's jars are downloaded with the Python package jgo, which is not installed. Install the "
            "development dependencies of this project, or set KAFKA_BOOTSTRAP_SERVERS to use a Kafka that "
            "already runs."
        ) from error
    _drop_torn_poms(staging)
    remotes = {"central": repository}
    context = MavenContext(repo_cache=staging, local_repos=[], remote_repos=remotes, timeout=30)
    try:
        wanted = [replace(one, scope="compile") for one in Endpoint.parse(COORDINATES).coordinates]
        direct, transitive = context.resolver.resolve([context.create_dependency(one) for one in wanted])
        needed = [*direct, *(one for one in transitive if one.scope in ("compile", "runtime"))]
        jars = [Path(one.artifact.resolve()) for one in needed]
    # jgo reports a missing file as RuntimeError, a damaged description as what its reader stumbles over.
    except (requests.RequestException, OSError, RuntimeError, ValueError, ElementTree.ParseError) as error:
        raise DownloadFailed(_explain(repository, f"{type(error).__name__}: {error}")) from error
    _verify(jars, repository)
    return jars


def _verify(jars: list[Path], repository: str) -> None:
    expected = {name: digest for digest, name in map(str.split, CHECKSUMS.read_text().splitlines())}
    wrong = [jar for jar in jars if hashlib.sha256(jar.read_bytes()).hexdigest() != expected.get(jar.name)]
    for jar in wrong:
        jar.unlink()
    missing = expected.keys() - {jar.name for jar in jars}
    if wrong or missing:
        names = ", ".join(sorted({jar.name for jar in wrong} | missing))
        raise DownloadFailed(_explain(repository, f"not as listed in {CHECKSUMS.name}: {names}"))


def _drop_torn_poms(staging: Path) -> None:
    for pom in staging.rglob("*.pom"):
        if not pom.read_bytes().rstrip().endswith(b"</project>"):
            pom.unlink()


def _explain(repository: str, reason: str) -> str:
    return (
        f"Kafka's jars could not be downloaded from {repository} ({reason[:300]}). Check the network and "
        "HTTPS_PROXY and run the command again (it continues where it stopped), set DEVSTACK_MAVEN_URL to a "
        "mirror of Maven Central, or set KAFKA_BOOTSTRAP_SERVERS to use a Kafka that already runs."
    )
