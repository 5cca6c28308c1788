"""A saga told fact by fact."""

from functools import cached_property
from typing import Any, Generic, TypeVar

from chassis.model.commands import CommandSent
from chassis.model.saga import Process, Saga
from contracts.declare import REGISTRY
from contracts.schemas import decode

S = TypeVar("S")


class SagaScenario(Generic[S]):
    """A saga told fact by fact, reading like the specification:

    SagaScenario(SAGA).on(SUBMITTED).expects(DeductStock(...)).on(StockDeducted(...)).expects(ShipOrder(...))
    """

    def __init__(self, saga: Saga[S]) -> None:
        self._saga = saga
        self.process: Process | None = None
        self._sent: list[CommandSent] = []

    def on(self, fact: Any) -> "SagaScenario[S]":
        """A fact reaches the saga."""
        if self.process is None:
            self.process = Process(id=self._saga.key_of(fact))
        self._saga.react(self.process, fact)
        return self._take(self.process)

    def times_out(self) -> "SagaScenario[S]":
        """The step it is at has waited too long."""
        assert self.process is not None, "nothing has started"
        self._saga.timed_out(self.process)
        return self._take(self.process)

    def restarted(self) -> "SagaScenario[S]":
        """The process is read again from its stream, as after a crash."""
        assert self.process is not None, "nothing has started"
        again = Process(id=self.process.id)
        for fact in self._stream:
            again.apply(fact)
        assert again == self.process, "replay gives another state"
        self.process = again
        return self

    def expects(self, *commands: Any) -> "SagaScenario[S]":
        """Exactly these commands were sent because of the last fact."""
        assert self.sent == list(commands), f"sent {self.sent}, expected {list(commands)}"
        return self

    @property
    def sent(self) -> list[Any]:
        """The commands sent because of the last fact."""
        return [decode(REGISTRY.commands[item.command].cls, item.body) for item in self._sent]

    def expects_nothing(self) -> "SagaScenario[S]":
        return self.expects()

    def is_at(self, step: str, status: str) -> "SagaScenario[S]":
        assert self.process is not None, "nothing has started"
        assert (self.process.step, self.process.statuses.get(step)) == (step, status), self.process
        return self

    def has_ended(self) -> "SagaScenario[S]":
        assert self.process is not None and self.process.step == "", self.process
        return self

    @property
    def command_ids(self) -> list[str]:
        """The ids of the commands sent because of the last fact."""
        return [item.command_id for item in self._sent]

    def _take(self, process: Process) -> "SagaScenario[S]":
        self._stream += process.pending
        self._sent = [fact for fact in process.pending if isinstance(fact, CommandSent)]
        process.pending.clear()
        return self

    @cached_property
    def _stream(self) -> list[Any]:
        return []
