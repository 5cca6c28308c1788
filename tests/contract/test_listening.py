"""A process whose address is taken ends with one line that names the setting: no traceback, and nothing is shared."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chassis.foundation.config import ConfigError
from chassis.foundation.listening import Listener
from chassis.run.main import ROLES

REPOSITORY = Path(__file__).parents[2]
SETTINGS = {role: "HTTP_ADDRESS" if role == "api" else "HEALTH_ADDRESS" for role in ROLES}


@pytest.fixture
def taken() -> Iterator[str]:
    """An address at which somebody listens, who would share the port."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield f"127.0.0.1:{other.getsockname()[1]}"


@pytest.mark.parametrize("words", [[role] for role in ROLES] + [["api", "--service", "gateway"]], ids=" ".join)
def test_a_role_whose_address_is_taken_ends_before_it_starts_anything(
    words: list[str], taken: str, tmp_path: Path
) -> None:
    setting = SETTINGS[words[0]]
    done = subprocess.run(
        [sys.executable, "-m", "chassis.run.main", "run", *words],
        cwd=REPOSITORY,
        env={
            **os.environ,
            setting: taken,
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "DATA_DIR": str(tmp_path / "stores"),
            "TOKEN_KEY_DIR": str(tmp_path / "keys"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = f"salestream: can't listen at {setting}={taken}: Address already in use."
    assert done.returncode == 2, done
    assert done.stderr.startswith(told) and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "stores").exists()


@pytest.mark.parametrize("address", ["192.0.2.1:8000", "no-such-host.invalid:8000"])
def test_an_address_that_is_none_of_this_machine_is_told_too(address: str) -> None:
    with pytest.raises(ConfigError, match=f"can't listen at HTTP_ADDRESS={address}: "):
        Listener("HTTP_ADDRESS", address)


def test_one_who_was_first_meanwhile_is_told_when_listening() -> None:
    first = Listener("HTTP_ADDRESS", "127.0.0.1:0")
    with closing(first.socket), closing(Listener("HTTP_ADDRESS", f"127.0.0.1:{_port(first)}").socket) as second:
        second.listen()
        with pytest.raises(ConfigError, match="Address already in use"):
            first.listen()


def test_nobody_is_connected_before_it_listens() -> None:
    listener = Listener("HTTP_ADDRESS", "127.0.0.1:0")
    with closing(listener.socket), socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", _port(listener))) != 0
        listener.listen()
        socket.create_connection(("127.0.0.1", _port(listener)), 5).close()


def _port(listener: Listener) -> int:
    return int(listener.socket.getsockname()[1])
