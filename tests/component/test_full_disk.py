"""A disk that is really full, with the store and the log on it: commands are refused, and go on when there is room."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from component.support import REPOSITORY_ROOT

PROGRAM = """
import sys
from pathlib import Path
import structlog
from chassis.foundation import metrics
from chassis.foundation.config import Config
from chassis.foundation.logs import configure_logging
from chassis.store.opening import open_store
from chassis.writer.writer import Writer
from component.test_event_store import new_product, outcome, request, SERVICE
configure_logging("INFO")
disk, result = Path(sys.argv[1]), Path(sys.argv[2])
writer = Writer(SERVICE, open_store("inventory", Config(data_dir=str(disk / "stores"))))
writer.start()
said = []
def added():
    return outcome(writer.submit(request(new_product(5))))
def note(what):
    said.append(f"{what} {added()}")
note("room")
filler = disk / "filler"
with filler.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(65536))
    except OSError:
        pass
    try:
        while True:
            file.write(b"x")
    except OSError:
        pass
for _ in range(300):
    found = added()
    if found != "ok":
        break
said.append(f"full {found}")
structlog.get_logger().error("nobody can read this")
print("nor this", flush=True)
lost = metrics.LOG_LINES_LOST._value.get()
said.append(f"lost {lost > 0}")
said.append(f"stands {writer.problem()}")
filler.unlink()
note("room again")
print("readable", flush=True)
writer.stop()
result.write_text("\\n".join(said))
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(path)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a disk can't be mounted here: {mounted.stderr.decode()}")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_commands_are_refused_on_a_full_disk_and_go_on_when_there_is_room(disk: Path, tmp_path: Path) -> None:
    paths = f"import sys; sys.path[:0] = [{str(REPOSITORY_ROOT)!r}, {str(REPOSITORY_ROOT / 'tests')!r}]\n"
    with (disk / "server.log").open("wb") as log:
        subprocess.run(
            [sys.executable, "-c", paths + PROGRAM, str(disk), str(tmp_path / "result")],
            stdout=log, stderr=log, check=True, timeout=300,
        )  # fmt: skip
    assert (tmp_path / "result").read_text().splitlines() == [
        "room ok", "full UNAVAILABLE", "lost True", "stands None", "room again ok",
    ]  # fmt: skip
    text = (disk / "server.log").read_text()
    assert "log lines were lost" in text and text.endswith("readable\n")
    assert "nobody can read this" not in text
