"""What serves says when it does not: loops that stand, threads that have ended, answers of the health checks."""

import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass

import pytest

from chassis.foundation.health import STANDS_SECONDS, Loop, Pulse, Serving, problems_of
from chassis.foundation.listening import Listener
from chassis.run.process import Failures, health_server


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_that_does_not_get_on_says_why() -> None:
    clock = Clock()
    pulse = Pulse(clock=clock)
    pulse.fails(OSError("Kafka is away"))
    assert pulse.problem() is None, "a moment's failure is none"
    clock.now = STANDS_SECONDS + 1
    assert pulse.problem() == "no progress for 16 s: OSError('Kafka is away')"
    pulse.beat()
    assert pulse.problem() is None
    clock.now += STANDS_SECONDS + 1
    assert pulse.problem() == "no progress for 16 s: a step does not end"


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), KeyboardInterrupt()])
def test_a_thread_that_ends_is_told_whatever_ended_it(error: BaseException) -> None:
    def serve() -> None:
        raise error

    failed: list[str] = []
    thread = Serving("relay", serve, failed.append)
    assert thread.problem() is None
    thread.start()
    thread.join(timeout=30)
    assert (failed, thread.problem()) == (["relay"], "its thread has ended")


def test_asking_never_fails() -> None:
    class Broken:
        def problem(self) -> str | None:
            raise ValueError("can't say")

    assert problems_of({"a": Broken(), "b": Pulse()}) == {"a": 'ValueError("can\'t say")'}


@dataclass
class Stands:
    """A loop that says it stands."""

    why: str | None = None

    def run(self, stop: threading.Event) -> None:
        stop.wait()

    def problem(self) -> str | None:
        return self.why


def test_a_worker_is_alive_while_its_threads_are_and_ready_while_its_loops_get_on() -> None:
    loop, stop, failures = Stands(), threading.Event(), Failures()
    thread = Serving("saga-order", lambda: loop.run(stop), failures.note)
    loops: dict[str, Loop] = {"saga-order": loop}
    server = health_server(Listener("HEALTH_ADDRESS", "127.0.0.1:0"), [thread], loops, failures)
    port = server.server_address[1]
    thread.start()

    def ask(path: str) -> tuple[int, dict[str, object]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    try:
        assert ask("/readyz") == (200, {"status": "ok", "dead": [], "problems": {}})
        loop.why = "no progress for 20 s"
        assert ask("/livez")[0] == 200
        told = {"status": "failed", "dead": [], "problems": {"saga-order": "no progress for 20 s"}}
        assert ask("/readyz") == (503, told)
        stop.set()
        thread.join(timeout=30)
        dead = {"status": "failed", "dead": ["saga-order"], "problems": {"saga-order": "its thread has ended"}}
        assert ask("/livez") == ask("/readyz") == (503, dead)
    finally:
        server.shutdown()
        server.server_close()
