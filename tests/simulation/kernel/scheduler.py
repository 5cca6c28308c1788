"""One thread that decides everything: which actor goes on, what time it is, and who dies where.

An actor runs real code in a greenlet of its own until it waits, or comes to a numbered point: a place where the world
outside would see a difference (before and after a commit, a publication, a saved position).  There another actor may
go on instead, and there its process may crash: all its actors are gone at that very place, what it had in memory is
lost, and a while later it is started anew.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from greenlet import getcurrent, greenlet

from .faults import Faults
from .trace import Trace

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
MAX_STEPS = 400_000
STEP_SECONDS = 0.0005
FOR_EVER = math.inf


class Killed(BaseException):
    """The process of the actor is dead.  No `except Exception` of the code under test may see it."""


class Stuck(AssertionError):
    """The run does not come to rest: nobody can go on, or it goes on for ever."""


@dataclass(eq=False)
class Process:
    """What dies together.  `start` runs in its first actor and starts the others; `skew`: its clock is wrong."""

    name: str
    start: Callable[["Process"], None]
    scheduler: "Scheduler"
    incarnation: int = 0
    alive: bool = False
    skew: float = 0.0
    stopping: bool = False

    def now(self) -> datetime:
        """The time of day on this machine."""
        return self.scheduler.start + timedelta(seconds=self.scheduler.now + self.skew)

    def monotonic(self) -> float:
        return self.scheduler.now


class Stop:
    """What `run(stop)` of the chassis' loops takes for a `threading.Event`; set when the process ends in good order."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def is_set(self) -> bool:
        return self._process.stopping

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep at least that long: a machine has other things to do, and a sleeper may wake late."""
        scheduler = self._process.scheduler
        lateness = scheduler.random.choice((1, 5, 50))
        scheduler.wait((timeout or 0.0) * lateness, lambda: self._process.stopping)
        return self._process.stopping


@dataclass(eq=False)
class Actor:
    """Something that goes on by itself.  It waits for `ready`, or until the time `until`; `pace`: how often chosen."""

    name: str
    process: Process | None
    thread: greenlet
    pace: float
    ready: Callable[[], bool] | None = None
    until: float = 0.0


class Scheduler:
    """Runs actors in an order drawn from the seed."""

    def __init__(self, random: Random, trace: Trace, faults: Faults, start: datetime = START) -> None:
        self.random = random
        self.start = start
        self.trace = trace
        self.faults = faults
        self.now = 0.0
        self.crashes: Counter[str] = Counter()  # at which points processes died
        self.points: Counter[str] = Counter()  # how often each point was passed
        self.failed: dict[str, Exception] = {}  # why processes ended by themselves the last time
        self.current: Actor | None = None
        self.processes: list[Process] = []
        self.on_death: list[Callable[[Process], None]] = []
        self._actors: list[Actor] = []
        self._dying: list[Process] = []
        self._hub = getcurrent()
        self._failure: BaseException | None = None

    # -- who there is

    def process(self, name: str, start: Callable[[Process], None], skew: float = 0.0) -> Process:
        """A process, started at once and again after each crash."""
        made = Process(name, start, self, skew=skew)
        self.processes.append(made)
        self._start(made)
        return made

    def actor(self, name: str, body: Callable[[], None], process: Process | None = None) -> Actor:
        """Start something that goes on by itself.  One without a process never dies."""
        made = Actor(name, process, greenlet(None, self._hub), self.random.choice(PACES))
        made.thread.run = lambda: self._live(made, body)
        self._actors.append(made)
        return made

    def _start(self, process: Process) -> None:
        process.alive, process.stopping = True, False
        process.incarnation += 1
        self.note(f"process {process.name} starts", "supervisor")
        self.actor(f"{process.name} main", lambda: process.start(process), process)

    def _live(self, actor: Actor, body: Callable[[], None]) -> None:
        try:
            if actor.process is None or actor.process.alive:
                body()
        except Killed:  # the crash that was drawn: what dies says nothing
            pass
        except Exception as failure:
            if actor.process is None:
                self._failure = failure
            else:  # a loop that fails for good ends its process, and its supervisor starts it again
                self.note(f"fails: {failure!r}")
                self.failed[actor.process.name] = failure
                self.kill(actor.process)
        except BaseException as failure:
            self._failure = failure
        finally:
            self._remove(actor)

    def _remove(self, actor: Actor) -> None:
        self._actors.remove(actor)
        process = actor.process
        if process is not None and process.stopping and all(other.process is not process for other in self._actors):
            self.kill(process)  # it has ended in good order

    def stop(self, process: Process) -> None:
        """Ask a process to end in good order; its supervisor starts it again."""
        if process.alive and not process.stopping:
            process.stopping = True
            self.note(f"process {process.name} is asked to stop")

    # -- what actors call

    def note(self, what: str, who: str | None = None) -> None:
        self.trace.note(self.now, who or (self.current.name if self.current else "-"), what)

    def wait(self, seconds: float = FOR_EVER, ready: Callable[[], bool] | None = None) -> bool:
        """Let others go on until `ready`, at most for some seconds; whether it is ready."""
        actor = self.current
        if actor is None:  # nobody but the checks at the end of a run
            return ready is None or ready()
        self._must_live(actor)
        actor.ready, actor.until = ready, self.now + seconds
        self._hub.switch()
        return ready is None or ready()

    def chance(self, probability: float) -> bool:
        """Whether something happens that happens so often."""
        return probability > 0 and self.current is not None and self.random.random() < probability

    def point(self, name: str, detail: str = "") -> None:
        """A numbered point: the process may die here, and others may go on before this actor does."""
        actor = self.current
        if actor is None:
            return
        self._must_live(actor)
        self.points[name] += 1
        self.note(f"{name} {detail}")
        if actor.process is not None and self.chance(self.faults.crash):
            self.crashes[name] += 1
            self.kill(actor.process)
            raise Killed
        if self.random.random() < 0.3:
            self.wait(0)

    def kill(self, process: Process) -> None:
        """The process is dead from now on; its actors go when the scheduler has control again."""
        if process.alive:
            process.alive = False
            self.note(f"process {process.name} dies")
            self._dying.append(process)

    def _must_live(self, actor: Actor) -> None:
        if actor.process is not None and not actor.process.alive:
            raise Killed

    # -- the one thread

    def run(self, done: Callable[[], bool], seconds: float) -> None:
        """Go on until everybody sleeps and `done`.  Raises Stuck after so many seconds of virtual time."""
        limit = self.now + seconds
        for _ in range(MAX_STEPS):
            ready = [a for a in self._actors if a.until <= self.now or (a.ready is not None and a.ready())]
            if ready:
                self._go_on(self._choose(ready))
                continue
            if done():
                return
            if self.now >= limit:
                raise Stuck(f"not at rest after {seconds:.0f} s: {self._waiting()}")
            self.now = max(self.now, min((a.until for a in self._actors), default=FOR_EVER))
            if self.now == FOR_EVER:
                raise Stuck(f"nobody can go on: {self._waiting()}")
        raise Stuck(f"not at rest after {MAX_STEPS} steps: {self._waiting()}")

    def _choose(self, ready: list[Actor]) -> Actor:
        if len(ready) == 1:
            return ready[0]
        return self.random.choices(ready, [a.pace for a in ready])[0]

    def _go_on(self, actor: Actor) -> None:
        self.now += STEP_SECONDS
        self.current = actor
        actor.ready, actor.until = None, FOR_EVER
        actor.thread.switch()
        self.current = None
        while self._dying:
            self._bury(self._dying.pop())
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _bury(self, process: Process) -> None:
        for actor in [a for a in self._actors if a.process is process]:
            self._end(actor)
        for tell in self.on_death:
            tell(process)
        down = self.random.choice((0.01, 0.5, 5.0)) * self.random.random()
        self.actor(f"{process.name} supervisor", lambda: self._restart(process, down))

    def _end(self, actor: Actor) -> None:
        if not actor.thread:  # it has not begun to live
            self._actors.remove(actor)
            return
        self.current = actor
        actor.thread.throw(Killed)
        self.current = None

    def _restart(self, process: Process, down: float) -> None:
        self.wait(down)
        self._start(process)

    def close(self) -> None:
        """End all actors, so that nothing of the run is left."""
        self.on_death.clear()
        for process in self.processes:
            process.alive = False
        for actor in list(self._actors):
            self._end(actor)

    def _waiting(self) -> str:
        failed = "".join(f"; {name} failed with {error!r}" for name, error in self.failed.items())
        return ", ".join(sorted(actor.name for actor in self._actors)) + failed


PACES = (1.0, 1.0, 1.0, 0.1, 0.02)
