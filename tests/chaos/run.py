"""How faults are declared and run, one after another on one system, and what is told of them."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from chassis.persons.opening import use_keys
from deploy.devstack.errors import PortBusy

from .check import check
from .history import History
from .shop import Shop
from .system import ChaosSystem, chaos_system


class NotRun(Exception):
    """The fault can't be made here; the text says why."""


class Violated(Exception):
    """What must hold does not."""


@dataclass
class Run:
    """One fault on its way: the system, the load, and what was measured (told beside the result)."""

    system: ChaosSystem
    shop: Shop
    history: History
    notes: list[str] = field(default_factory=list)
    rounds: int | None = None
    """How often to repeat what is repeated; None: as the fault says."""

    def note(self, text: str) -> None:
        self.notes.append(text)


Act = Callable[[Run], None]


@dataclass(frozen=True)
class Fault:
    """A fault of the list: its number, what is done, what must hold.

    `own_check`: it checks the invariants itself, in its own way.  `spoils`: no other fault may follow on its system.
    """

    number: int
    title: str
    invariants: tuple[str, ...]
    act: Act
    own_check: bool = False
    spoils: bool = False


FAULTS: dict[int, Fault] = {}


def fault(
    number: int, title: str, *invariants: str, own_check: bool = False, spoils: bool = False
) -> Callable[[Act], Act]:
    """Declare a fault."""

    def declare(act: Act) -> Act:
        assert number not in FAULTS, f"two faults have the number {number}"
        FAULTS[number] = Fault(number, title, invariants, act, own_check, spoils)
        return act

    return declare


@dataclass(frozen=True)
class Result:
    result: Literal["pass", "fail", "not run"]
    reason: str
    seconds: float
    invariants: tuple[str, ...]
    title: str = ""


class Runner:
    """Runs faults; one system serves all of them until one of them spoils it."""

    def __init__(self, folder: Path, histories: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._histories = histories
        self._say = say
        self._open = ExitStack()
        self._system: ChaosSystem | None = None

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()

    def run(self, fault: Fault, rounds: int | None = None) -> Result:
        started = time.monotonic()
        self._say(f"fault {fault.number}: {fault.title}")
        notes: list[str] = []
        spoilt = True
        verdict: Literal["pass", "fail", "not run"] = "fail"
        try:
            system = self._ready()
            use_keys(system.config)
            started = time.monotonic()
            history = History(self._histories / f"{fault.number}.jsonl")
            shop = Shop(system, history)
            try:
                run = Run(system, shop, history, notes, rounds)
                fault.act(run)
                if not fault.own_check:
                    assure(run)
                notes.append(
                    f"{history.count('ok')} ok, {history.count('fail')} refused, {history.count('unknown')} unknown"
                )
            finally:
                shop.close()
                history.close()
            spoilt = fault.spoils
            verdict = "pass"
        except NotRun as error:
            verdict, spoilt = "not run", False
            notes.append(str(error))
        except Violated as error:
            notes.insert(0, str(error))
        except Exception as error:
            notes.insert(0, f"{type(error).__name__}: {error}"[:1_500])
            self._say(traceback.format_exc())
        if spoilt:
            self._keep_logs(fault, verdict)
            self._drop()
        result = Result(verdict, "; ".join(notes), round(time.monotonic() - started, 1), fault.invariants, fault.title)
        self._say(f"fault {fault.number}: {result.result} in {result.seconds} s: {result.reason}")
        return result

    def _keep_logs(self, fault: Fault, verdict: str) -> None:
        if verdict == "pass" or self._system is None:
            return
        folder = self._histories / f"{fault.number}-logs"
        folder.mkdir(parents=True, exist_ok=True)
        for log in self._folder.glob("*/server.log*"):
            (folder / f"{log.parent.name}-{log.name}").write_bytes(log.read_bytes()[-2_000_000:])

    def _ready(self) -> ChaosSystem:
        if self._system is None:
            try:
                self._system = self._open.enter_context(chaos_system(self._folder, self._say))
            except PortBusy as error:  # somebody took a port after we had found it free
                self._say(str(error))
                self._system = self._open.enter_context(chaos_system(self._folder, self._say))
        else:
            self._system.heal()
        return self._system

    def _drop(self) -> None:
        self._system = None
        self._open.close()
        self._open = ExitStack()


def assure(run: Run) -> None:
    """Wait for rest and check everything.  Raises Violated."""
    found = [*check(run.system, run.history), *run.shop.check_outcomes()]
    if found:
        more = f" (and {len(found) - 5} more)" if len(found) > 5 else ""
        raise Violated("; ".join(found[:5]) + more)


def write(results: dict[int, Result], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {str(number): asdict(result) for number, result in sorted(results.items())}
    path.write_text(json.dumps(content, indent=1) + "\n")


def table(results: dict[int, Result]) -> str:
    """Fault x result."""
    lines = [f"{'fault':>5}  {'result':8}{'seconds':>8}  {'invariants':24}what"]
    for number, result in sorted(results.items()):
        names = " ".join(result.invariants)
        lines.append(f"{number:>5}  {result.result:8}{result.seconds:>8.1f}  {names:24}{result.title}")
        if result.result != "pass":
            lines.append(f"{'':>7}{result.reason}")
    return "\n".join(lines)


def worst(results: Sequence[Result]) -> int:
    return 1 if any(result.result == "fail" for result in results) else 0
